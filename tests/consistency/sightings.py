"""One number in one place, and whether the numbers of all places agree."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from robustness.report import answer
from robustness.service.answers import as_json
from robustness.store import Store
from robustness.summary import MetricRow, Study, measure
from robustness.summary.audit import AuditInfo, audit_info
from robustness.summary.findings import Finding, study_findings
from robustness.wording.warnings import study_warnings
from tests.consistency.stores import StudyStore
from tests.test_cli import call

__all__ = ["Opened", "Sighting", "as_served", "disagreements", "number_in", "printed_by", "shown"]

NONE = ("–", "", "None", "null")
_NUMBER = r"[-−+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"


@dataclass(frozen=True)
class Sighting:
    """A number as a reader meets it.

    Attributes:
        what: its kind, then the labels of what it is of, then which number of it.
        where: the place.
        value: NaN where the place says that there is none.
        rounding: half a unit of the last digit that the place shows; 0 where it shows all.
    """

    what: tuple[str, ...]
    where: str
    value: float
    rounding: float = 0.0


@dataclass(frozen=True)
class Opened:
    """A study with its store: what collectors look at."""

    at: StudyStore
    store: Store
    study: Study

    @cached_property
    def metrics(self) -> list[MetricRow]:
        """All metrics but those of importance, which no other place shows."""
        return measure(self.study, metrics=METRIC_IDS)

    @cached_property
    def answer(self) -> list[str]:
        """The study's answer in sentences."""
        return answer(self.study)

    @cached_property
    def findings(self) -> list[Finding]:
        """What is wrong with it, as codes."""
        return study_findings(self.study)

    @cached_property
    def warnings(self) -> list[str]:
        """The same in sentences."""
        return study_warnings(self.study)

    @cached_property
    def audit(self) -> AuditInfo:
        """What its reviewer is told."""
        return audit_info(self.study)

    @cached_property
    def metrics_json(self) -> list[dict[str, Any]]:
        """The same as `robustness metrics --json` prints them."""
        chosen = [argument for name in METRIC_IDS for argument in ("--metric", name)]
        return list(json.loads(printed_by(self, "metrics", "--json", *chosen)))


METRIC_IDS = (
    "divergence_rate",
    "nonfinite_rate",
    "not_trained_rate",
    "score",
    "tuned_failure_rate",
    "tuned_lr",
    "tolerance_window",
    "critical_lr",
    "accuracy_spread_iqr",
    "accuracy_spread_worst",
    "tunability",
    "expected_best_of_k",
    "performance_profile",
)


def printed_by(opened: Opened, command: str, *arguments: str) -> str:
    """What a command prints of the study."""
    with contextlib.redirect_stdout(io.StringIO()) as text:
        assert call(command, opened.at.study, "--store", opened.at.url, *arguments) == 0
    return text.getvalue()


def as_served(plain: Any) -> Any:
    """What a client of the service reads."""
    return json.loads(as_json(plain).body)


def number_in(text: str | float | None) -> float:
    """A number of a table or a JSON file; NaN for what stands where there is none."""
    if text is None or text in NONE:
        return math.nan
    return float(str(text).replace("−", "-").replace(",", ""))


def rounding_of(text: str) -> float:
    """Half a unit of the last digit of a printed number.

    >>> rounding_of("33.3"), rounding_of("12"), rounding_of("–")
    (0.05, 0.5, 0.0)
    """
    if not re.fullmatch(_NUMBER, text):
        return 0.0
    mantissa, _, exponent = text.partition("e")
    decimals = len(mantissa.partition(".")[2])
    return float(0.5 * 10.0 ** (int(exponent or 0) - decimals))


def shown(what: tuple[str, ...], where: str, text: str, unit: float = 1.0) -> Sighting:
    """A printed number; `unit` is what one of it is worth: 0.01 of a percentage."""
    return Sighting(what, where, unit * number_in(text), unit * rounding_of(text))


def disagreements(sightings: Iterable[Sighting]) -> Iterator[str]:
    """Of each number that differs between places, what stands where."""
    by_what: dict[tuple[str, ...], list[Sighting]] = {}
    for sighting in sightings:
        by_what.setdefault(sighting.what, []).append(sighting)
    for what, places in by_what.items():
        exact = min(places, key=lambda sighting: sighting.rounding)
        if not all(_agree(exact, place) for place in places):
            values = "; ".join(f"{place.value:.12g} in {place.where}" for place in places)
            yield f"{', '.join(what)}: {values}"


def _agree(exact: Sighting, place: Sighting) -> bool:
    if math.isnan(exact.value) or math.isnan(place.value):
        return math.isnan(exact.value) and math.isnan(place.value)
    if exact.value == place.value:
        return True
    # Logarithms and percentages are taken back with an error of the last bits.
    return abs(exact.value - place.value) <= 1.001 * place.rounding + 1e-9 * abs(exact.value)
