"""An audit of a study: the findings of `findings.study_findings` by section, with the rows that they were counted from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from robustness.summary.audit_rows import (
    Budget,
    Labels,
    OptimizerLabels,
    RowEdges,
    RowLabels,
    Selection,
    Square,
    TaskLabels,
    VaryingSetting,
)
from robustness.summary.findings import CheckedRows, Finding, FindingCode, study_findings
from robustness.summary.flags import Remark
from robustness.summary.measure import measure
from robustness.summary.rows import MetricRow
from robustness.summary.sampler_limits import not_independent, sampler_of
from robustness.summary.study import Study

__all__ = ["Addition", "AgainstDefault", "AuditInfo", "Section", "audit_info"]

Row = TypeVar("Row")

_CHOSEN = (FindingCode.CHOSEN_BY_EDGE, FindingCode.CHOSEN_BY_TPE)
_CODES: dict[str, tuple[FindingCode, ...]] = {
    "budgets": (
        FindingCode.NO_TRIALS,
        FindingCode.MISSING_TRIALS,
        FindingCode.REPEATED_TRIALS,
        FindingCode.UNEVEN_BUDGETS,
    ),
    "missing": (
        FindingCode.NO_TRIALS,
        FindingCode.SQUARES_LACK_TRIALS,
        FindingCode.FEWER_SEEDS_THAN_ROW,
    ),
    "edges": (
        FindingCode.NOTHING_COMPLETE,
        *_CHOSEN,
        FindingCode.TUNED_AT_EDGE,
        FindingCode.WINDOW_CENSORED,
        FindingCode.MOST_SEEDS_DO_NOT_TRAIN,
        FindingCode.NO_LR_TRAINS,
    ),
    "defaults": (FindingCode.NOTHING_COMPLETE, *_CHOSEN),
    "selection": (
        FindingCode.NOTHING_COMPLETE,
        FindingCode.CHOSEN_BY_EDGE,
        FindingCode.NOTHING_TO_SELECT,
        FindingCode.SELECTED_ON_TEST,
        FindingCode.FEW_SEEDS,
        FindingCode.SAME_SEEDS,
        FindingCode.FRESH_SEEDS,
        FindingCode.NOT_ALL_CONFIRMED,
    ),
    "labels": (
        FindingCode.NOTHING_COMPLETE,
        FindingCode.ACCURACY_CANNOT_TELL,
        FindingCode.CHANGEABLE_LABELS,
        FindingCode.CHAOTIC_TRIALS,
        FindingCode.NON_MONOTONE_ROWS,
        FindingCode.FLOOR_MATTERS,
    ),
    "settings": (FindingCode.SETTINGS_INSIDE_ROWS, FindingCode.SETTINGS_BETWEEN_LABELS),
    "additions": (FindingCode.DIVERGED_AT_ADDED_LRS_ALONE,),
}
"""What each section asks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section(Generic[Row]):
    """One thing that a reviewer asks.

    Attributes:
        findings: what there is to say, the gravest first; empty where all is well.
        rows: what they were counted from, in the study's order.
    """

    findings: tuple[Finding, ...]
    rows: tuple[Row, ...] = ()

    @property
    def verdict(self) -> Literal["ok", "look", "bad"]:
        """That of the gravest finding."""
        severities = {finding.severity for finding in self.findings}
        return "bad" if "bad" in severities else "look" if "look" in severities else "ok"


@dataclass(frozen=True, kw_only=True, slots=True)
class AgainstDefault(RowLabels):
    """A row's tuned learning rate beside the optimizer's default; NaN for what there is none of.

    Attributes:
        tuned_lr: tuned learning rate.
        tuned_score: median test score there.
        default_lr: of the optimizer's own documentation.
        tried_lr: the learning rate of the study that stands for it.
        default_score: median test score there.
        gain: the metric `tunability`: tuned score less that at the default.
        low: end of its 95 % interval.
        high: the other end.
        n: seeds at the tuned learning rate.
        unit: of the scores.
        remarks: of the metric.
    """

    tuned_lr: float
    tuned_score: float
    default_lr: float
    tried_lr: float
    default_score: float
    gain: float
    low: float
    high: float
    n: int
    unit: str
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Addition(OptimizerLabels):
    """Trials that an adaptive sampler added for one reason."""

    reason: str
    trials: int


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditInfo:
    """What `robustness audit` says.

    Attributes:
        sampler: of the study; empty where it was imported.
        settings: of an import; None for a study that was run here, whose spec says what varies.
        additions: None for a study that was designed beforehand.
    """

    study: str
    title: str
    sampler: str
    budgets: Section[Budget]
    missing: Section[Square]
    edges: Section[RowEdges]
    defaults: Section[AgainstDefault]
    selection: Section[Selection]
    labels: Section[Labels]
    settings: Section[VaryingSetting] | None
    additions: Section[Addition] | None


def audit_info(study: Study) -> AuditInfo:
    """Audit a study, complete or not; windows reach 5 % of skill below the best.

    Args:
        study: classified.
    """
    rows, sampler = CheckedRows.of(study), sampler_of(study.spec)
    findings = study_findings(study, rows=rows)
    against = [] if not_independent(sampler) else list(_against_defaults(study))
    additions = _additions(study)

    def section(name: str, rows: Sequence[Row], *more: Finding) -> Section[Row]:
        asked = [finding for finding in findings if finding.code in _CODES[name]]
        # Where a sampler chose by results there is nothing else to ask.
        chosen = [finding for finding in asked if finding.code in _CHOSEN]
        return Section(findings=(*(chosen or asked), *more), rows=tuple(rows))

    return AuditInfo(
        study=study.name,
        title=study.title,
        sampler=sampler,
        budgets=section("budgets", rows.budgets),
        missing=section("missing", rows.squares),
        edges=section("edges", rows.edges),
        defaults=section("defaults", against, *_of_defaults(against)),
        selection=section("selection", rows.selections),
        labels=section("labels", rows.labels),
        settings=section("settings", rows.settings) if study.source else None,
        additions=section(
            "additions", additions, *_of_additions(additions, rows.budgets, even=sampler != "edge")
        )
        if additions
        else None,
    )


def _against_defaults(study: Study) -> Iterator[AgainstDefault]:
    """Every row with something complete beside its optimizer's default."""
    gains: dict[tuple[str | None, str, str | None], MetricRow] = {
        (row.task, row.optimizer, row.init): row for row in measure(study, metrics=("tunability",))
    }
    for sample in study.tuning:
        cube, place = sample.cube, sample.default_place
        for i, init in enumerate(cube.inits):
            row, trains = gains[cube.task, cube.optimizer, init], sample.trains_I[i]
            yield AgainstDefault(
                task=cube.task,
                optimizer=cube.optimizer,
                init=init,
                tuned_lr=float(sample.tuned_lrs_I[i]),
                tuned_score=float(sample.tuned_score_RI[0, i]) if trains else math.nan,
                default_lr=sample.default_lr,
                tried_lr=math.nan if place is None else float(cube.lrs_L[place]),
                default_score=math.nan if place is None else float(sample.score_RIL[0, i, place]),
                gain=row.value,
                low=row.low,
                high=row.high,
                n=row.n,
                unit=sample.unit,
                remarks=row.remarks,
            )


def _of_defaults(rows: Sequence[AgainstDefault]) -> Iterator[Finding]:
    known = [row for row in rows if math.isfinite(row.gain)]
    if known:
        numbers = (sum(row.low > 0 for row in known), len(known), len(rows) - len(known))
        severity: Literal["look", "info"] = "look" if numbers[-1] else "info"
        yield Finding(code=FindingCode.TUNING_AGAINST_DEFAULT, severity=severity, numbers=numbers)
    elif rows:
        yield Finding(code=FindingCode.NO_DEFAULT_COMPARED)


def _additions(study: Study) -> list[Addition]:
    """Trials with a reason, by reason; none of a study whose trials were all designed."""
    chosen = study.trials[study.trials["reason"] != ""]
    sizes = Counter(zip(chosen["task"], chosen["optimizer"], chosen["reason"], strict=True))
    pairs = list(dict.fromkeys((task, optimizer) for task, optimizer, _ in sizes))
    return [
        Addition(task=task, optimizer=optimizer, reason=reason, trials=trials)
        for pair in pairs
        for (task, optimizer, reason), trials in sizes.items()
        if (task, optimizer) == pair
    ]


def _of_additions(rows: Sequence[Addition], pairs: Sequence[Budget], *, even: bool) -> Iterator[Finding]:
    """Of trials that a sampler added; `even` where each optimizer should have as many."""
    yield Finding(code=FindingCode.ADDED_TRIALS, severity="info", numbers=(sum(row.trials for row in rows),))
    given = {(pair.task, pair.optimizer): 0 for pair in pairs}
    for row in rows:
        given[row.task, row.optimizer] += row.trials
    by_task: dict[str, set[int]] = {}
    for (task, _), trials in given.items():
        by_task.setdefault(task, set()).add(trials)
    uneven = tuple(TaskLabels(task=task) for task, sizes in by_task.items() if even and len(sizes) > 1)
    if uneven:
        yield Finding(code=FindingCode.UNEVEN_ADDITIONS, concerns=uneven)
