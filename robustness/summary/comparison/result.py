"""What a comparison of two optimizers says, and its correction for all that were made together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from robustness.summary.comparison.paired import holm
from robustness.summary.comparison.power import ALPHA, seeds_needed
from robustness.summary.flags import Flag, Remark, has_flag

__all__ = ["Comparison", "InitDifference", "Nominal", "corrected"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Nominal:
    """The difference at the same nominal learning rates; unfair to whoever takes larger steps at the same number."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class InitDifference:
    """The difference on one initialization."""

    init: str
    a_value: float
    b_value: float
    difference: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """Of the difference, where the interval leaves out 0; else 0."""
        return _sign(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Optimizer `a` less optimizer `b` on one task.

    Attributes:
        task: label.
        init: label; None where pooled over initializations.
        metric: of `spec.COMPARABLE`.
        a: label.
        b: label.
        difference: a less b, mean over initializations; NaN where there is none, and `remarks` say why.
        low: end of the 95 % interval, t over whole seeds (one cell: Newcombe's); NaN where there is none.
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
        sd: standard deviation between seeds of the difference: its standard error times the root of n.
        family: tests corrected for.
        resolution: what half a step of the grid is worth, in the unit; NaN where the metric needs no grid.
        inits: the difference on each initialization.
        nominal: at nominal learning rates; None where that is the same, or not possible.
        lr: of a single cell; else None.
        remarks: what a reader must know, as flags.
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
    resolution: float = math.nan
    inits: tuple[InitDifference, ...] = ()
    nominal: Nominal | None = None
    lr: float | None = None
    remarks: tuple[Remark, ...] = ()

    @property
    def tells(self) -> bool:
        """The data tell the two apart.

        The corrected test finds a difference at 5 % and the interval leaves out 0; the difference is beyond the
        grid's resolution, over a range that says something of both, and no initialization shows the opposite.
        """
        return self.p_holm < ALPHA and self.can_tell

    @property
    def can_tell(self) -> bool:
        """Whether a small p is a verdict; see `tells`."""
        smaller = 0 if self.difference < 0 else 1
        is_bound = Remark(Flag.AT_GRID_EDGE, (smaller,)) in self.remarks  # it may be as wide as the other
        return (self.low > 0 or self.high < 0) and not is_bound and not has_flag(self.remarks, *_NO_VERDICT)

    @property
    def is_equivalent(self) -> bool:
        """The whole interval lies within what the grid can resolve: the two are shown to be alike."""
        within = -self.resolution < self.low and self.high < self.resolution
        return within and not has_flag(
            self.remarks, Flag.LITTLE_OVERLAP, Flag.OPPOSITE_SIGNS, Flag.AT_GRID_EDGE
        )

    @property
    def disagrees(self) -> bool:
        """At nominal learning rates the data point elsewhere: another sign beyond doubt, or doubt instead of one."""
        if self.nominal is None or math.isnan(self.nominal.difference):
            return False
        return (_sign(self) if self.tells else 0) != _sign(self.nominal)

    def as_json(self) -> dict[str, Any]:
        """For JSON, which has no NaN: it is null, and the remarks say why."""
        verdicts = {"tells": self.tells, "equivalent": self.is_equivalent, "disagrees": self.disagrees}
        return {name: _finite(value) for name, value in (asdict(self) | verdicts).items()}


_NO_VERDICT = (Flag.NOT_RESOLVED, Flag.LITTLE_OVERLAP, Flag.OPPOSITE_SIGNS)


def _sign(found: Comparison | InitDifference | Nominal) -> int:
    """The sign of a difference whose interval leaves out 0; else 0."""
    return int(math.copysign(1, found.difference)) if found.low > 0 or found.high < 0 else 0


def _finite(value: Any) -> Any:
    """Without NaN and infinities, within mappings and sequences too."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
    if has_flag(found.remarks, *_NO_VERDICT):  # no number of seeds makes a grid finer
        return None
    effect = abs(found.difference) / found.sd if found.sd else math.inf
    needed = seeds_needed(effect, ALPHA / family)
    # Where this sample had the power and did not tell, one seed more is the least that can be said.
    return None if needed is None else max(needed, found.n + 1)
