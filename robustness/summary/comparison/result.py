"""What a comparison of two optimizers says, and its correction for all that were made together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from robustness.summary.comparison.paired import holm
from robustness.summary.comparison.power import ALPHA, seeds_needed

__all__ = ["Comparison", "Nominal", "corrected"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Nominal:
    """The comparison at the same nominal learning rates; unfair to whoever takes larger steps at the same number."""

    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Optimizer `a` less optimizer `b` on one task.

    Attributes:
        task: label.
        init: label; None where pooled over initializations.
        metric: of `spec.COMPARABLE`.
        a: label.
        b: label.
        difference: mean over seeds of a less b; NaN where there are no pairs.
        low: end of the 95 % interval by whole seeds (one cell: Newcombe's); NaN where there is none.
        high: the other end.
        unit: of difference and interval.
        n: paired seeds.
        test: its name; empty where there is none.
        p: of the test over seeds; NaN where no test is possible.
        p_holm: corrected for all comparisons asked for together.
        needed: seeds for 80 % power at the observed difference and Holm's first step; None where the data can
            tell, or the difference is 0 or not known.
        a_value: of a.
        b_value: of b.
        sd: standard deviation between seeds of the paired differences.
        family: tests corrected for.
        points: pairs of learning rates behind a rate; else 0.
        relative: learning rates are measured from the middle of each one's window.
        nominal: at nominal learning rates; None where that is the same, or not possible.
        lr: of a single cell; else None.
        note: what a reader must know.
    """

    task: str
    init: str | None
    metric: str
    a: str
    b: str
    difference: float
    low: float
    high: float
    unit: str
    n: int
    test: str
    p: float
    p_holm: float
    needed: int | None
    a_value: float = math.nan
    b_value: float = math.nan
    sd: float = math.nan
    family: int = 1
    points: int = 0
    relative: bool = False
    nominal: Nominal | None = None
    lr: float | None = None
    note: str = ""

    @property
    def tells(self) -> bool:
        """The corrected test finds a difference at 5 %, and the interval, where there is one, leaves out 0.

        The interval finds the middle of each one's window anew in every draw, which the test takes as known.
        """
        return self.p_holm < ALPHA and not self.low < 0 < self.high

    @property
    def disagrees(self) -> bool:
        """At nominal learning rates the data point elsewhere: another sign beyond doubt, or doubt instead of one."""
        if self.nominal is None or math.isnan(self.nominal.difference):
            return False
        return _points_to(self) != _points_to(self.nominal)

    def as_json(self) -> dict[str, Any]:
        """For JSON, which has no NaN: it is null, and the note says why."""
        return _plain(asdict(self) | {"tells": self.tells, "disagrees": self.disagrees})


def _points_to(found: Comparison | Nominal) -> int:
    """The sign of a difference whose interval or test leaves out 0; else 0."""
    beyond = found.low > 0 or found.high < 0 or found.p < ALPHA
    return int(math.copysign(1, found.difference)) if beyond else 0


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _plain(value)
        if isinstance(value, dict)
        else None
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for name, value in values.items()
    }


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same with Holm's correction over all of them, and the seeds that each needs where it cannot tell."""
    p_holm = holm([found.p for found in comparisons])
    family = max(sum(not math.isnan(p) for p in p_holm), 1)
    result = []
    for found, p in zip(comparisons, p_holm, strict=True):
        needed = None if p < ALPHA else _needed(found, family)
        result.append(replace(found, p_holm=p, family=family, needed=needed))
    return result


def _needed(found: Comparison, family: int) -> int | None:
    if math.isnan(found.difference) or math.isnan(found.sd) or found.difference == 0:
        return None
    effect = abs(found.difference) / found.sd if found.sd else math.inf
    needed = seeds_needed(effect, ALPHA / family)
    # Where this sample had the power and did not tell, one seed more is the least that can be said.
    return None if needed is None else max(needed, found.n + 1)
