"""How many trials there are, are complete, failed and did not train: study, service, report, findings, journal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from robustness.report import write_report
from robustness.service import Reader
from robustness.summary.findings import FindingCode
from tests.consistency.sightings import Opened, Sighting, number_in, shown

__all__ = ["count_sightings", "report_sightings"]

STATES = ("complete", "failed", "waiting", "running")
TO_RUN = ("waiting", "running")


def count_sightings(opened: Opened) -> Iterator[Sighting]:
    """Trials by state, and the share of complete ones that did not train at each skill floor."""
    study = opened.study
    served = Reader(opened.store).row(Reader(opened.store).queue.of(study.name))["counts"]
    for where, counts in (("Study.counts", study.counts), ("the service", served)):
        for state in STATES:
            yield Sighting(("trials", state), where, counts[state])
        yield Sighting(("trials", "all"), where, sum(counts.values()))
    fresh = study.confirming["state"].value_counts()
    rows = opened.audit.budgets.rows
    for state in ("complete", "failed"):
        designed = sum(getattr(row, state) for row in rows)
        yield Sighting(("trials", state), "audit, budgets", designed + int(fresh.get(state, 0)))
    yield Sighting(
        ("trials", "all"), "audit, budgets", sum(row.trials for row in rows) + len(study.confirming)
    )
    in_squares = int(study.grid.squares["n"].sum())
    yield Sighting(("trials", "complete"), "the squares", in_squares + int(fresh.get("complete", 0)))
    yield from _missing(opened)
    yield from _floors(opened)


def _missing(opened: Opened) -> Iterator[Sighting]:
    missing = sum(row.missing for row in opened.audit.budgets.rows)
    yield Sighting(("trials", "missing"), "audit, budgets", missing)
    found = [f.numbers[0] for f in opened.findings if f.code is FindingCode.MISSING_TRIALS]
    yield Sighting(("trials", "missing"), "findings", found[0] if found else 0)
    said = [re.match(r"([\d,]+) of [\d,]+ trials (?:is|are) missing", text) for text in opened.warnings]
    yield Sighting(("trials", "missing"), "warnings", next((number_in(m[1]) for m in said if m), 0))


def _floors(opened: Opened) -> Iterator[Sighting]:
    """At the study's own floor it is what the squares count."""
    findings = [f.numbers for f in opened.findings if f.code is FindingCode.FLOOR_MATTERS]
    pattern = r"skill floor of (\S+), (\S+) % of the complete trials did not train\. At a floor of (\S+) it would be (\S+) %, at (\S+) (\S+) %"
    said = [re.search(pattern, text) for text in opened.warnings]
    for numbers in findings:
        for floor, share in zip(numbers[::2], numbers[1::2], strict=True):
            yield Sighting(("not trained", f"{floor:g}", "share"), "findings", share)
        squares = opened.study.grid.squares
        untrained = 1 - squares["trained"].sum() / squares["n"].sum()
        yield Sighting(("not trained", f"{numbers[0]:g}", "share"), "the squares", untrained)
    for match in said:
        if match:
            for at_floor, text in zip(match.groups()[::2], match.groups()[1::2], strict=True):
                yield shown(("not trained", at_floor, "share"), "warnings", text, 0.01)


def report_sightings(opened: Opened, folder: Path) -> Iterator[Sighting]:
    """Counts of the report, whose sentences and tables are those that other collectors read."""
    write_report(opened.study, folder / "report.html", opened.store)
    page = (folder / "report.html").read_text(encoding="utf-8")
    match = re.search(r"([\d,]+) complete, ([\d,]+) failed, ([\d,]+) to run, of ([\d,]+)", page)
    assert match
    complete, failed, to_run, every = map(number_in, match.groups())
    counts = opened.study.counts
    for name, value in (("complete", complete), ("failed", failed), ("all", every)):
        yield Sighting(("trials", name), "the report", value)
    yield Sighting(("trials", "to run"), "the report", to_run)
    yield Sighting(("trials", "to run"), "Study.counts", sum(counts[state] for state in TO_RUN))
