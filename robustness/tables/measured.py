"""The numbers that a table shows, each with its place and its unit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from robustness.summary import MetricRow
from robustness.summary.flags import Flag, Remark, has_flag
from robustness.summary.resampled import Resampled
from robustness.summary.rows import METRICS
from robustness.summary.tuned_scores import tuned_score

__all__ = ["Measurement", "measurements", "tuned_scores"]

_SCORES = (
    "score",
    "expected_score",
    "cvar_score",
    "expected_best_of_k",
    "accuracy_spread_p05",
    "accuracy_spread_worst",
)
"""What is minus a loss on tasks without an accuracy; the rest are differences of scores."""
_TURNED: dict[str, Literal["higher", "lower", ""]] = {"higher": "lower", "lower": "higher", "": ""}


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One entry of a table before it is a text.

    Attributes:
        metric: its id.
        title: for headers.
        at: the point of a curve, or whose figure; else empty.
        task: label; None over all tasks.
        optimizer: label.
        init: label; None where pooled over initializations.
        value: NaN where there is none.
        low: end of the 95 % interval; NaN where there is none.
        high: the other end.
        sd: standard deviation over seeds; NaN where it is not defined or not asked for.
        n: trials behind a rate, seeds behind everything else; 0 where nobody states it.
        unit: of value, interval and sd; a loss task's scores are losses here.
        better: the direction of the best.
        remarks: what a reader must know of it.
        source: of a published figure, and its budget.
        flagged: trials of n that a rate counts; None of everything else. Where cells have unequal numbers of trials it is
            not value times n.
    """

    metric: str
    title: str
    task: str | None
    optimizer: str
    init: str | None
    value: float
    low: float = math.nan
    high: float = math.nan
    sd: float = math.nan
    n: int
    unit: str
    better: Literal["higher", "lower", ""]
    at: str = ""
    remarks: tuple[Remark, ...] = ()
    source: str = ""
    flagged: int | None = None

    def has(self, *flags: Flag) -> bool:
        """Whether one of these flags is among the remarks."""
        return has_flag(self.remarks, *flags)


def measurements(rows: Iterable[MetricRow], scores: Iterable[Measurement] = ()) -> list[Measurement]:
    """Rows of `summary.measure` as entries; scores get the standard deviation of `tuned_scores`."""
    sds = {(m.task, m.optimizer, m.init): m.sd for m in scores}
    found = []
    for row in rows:
        info = METRICS[row.metric]
        plain = Measurement(
            metric=row.metric,
            title=info.title,
            task=row.task,
            optimizer=row.optimizer,
            init=row.init,
            value=row.value,
            low=row.low,
            high=row.high,
            sd=sds.get((row.task, row.optimizer, row.init), math.nan) if row.metric == "score" else math.nan,
            n=row.n,
            unit=row.unit,
            better=info.better,
            at=row.at,
            remarks=row.remarks,
            flagged=next((int(r.numbers[0]) for r in row.remarks if r.flag is Flag.COUNT), None),
        )
        found.append(_as_loss(plain) if row.unit == "minus loss" else plain)
    return found


def _as_loss(plain: Measurement) -> Measurement:
    """Readers know losses, not their negatives."""
    if plain.metric not in _SCORES:
        return replace(plain, unit="loss")
    return replace(
        plain,
        unit="loss",
        value=-plain.value,
        low=-plain.high,
        high=-plain.low,
        better=_TURNED[plain.better],
    )


def tuned_scores(samples: Iterable[Resampled]) -> list[Measurement]:
    """The test score of each task, optimizer and initialization at its tuned learning rate, over seeds.

    Mean and standard deviation (n - 1) of the seeds that train there; no interval, so that nothing is resampled. The
    mean is that of the metric `score`.
    """
    return [entry for sample in samples for entry in _scores(sample)]


def _scores(sample: Resampled) -> list[Measurement]:
    cube, constants = sample.cube, sample.constants
    entries = []
    for i, init in enumerate(cube.inits):
        score = tuned_score(sample, i)
        remarks = [] if score.trained else [Remark(Flag.NOTHING_TRAINS)]
        if 0 < score.trained < score.seeds:
            remarks.append(Remark(Flag.SOME_SEEDS_FAILED, (score.seeds - score.trained, score.seeds)))
        if constants.selection == "test":
            remarks.append(Remark(Flag.SELECTED_ON_TEST))
        entry = Measurement(
            metric="score",
            title=METRICS["score"].title,
            task=cube.task,
            optimizer=cube.optimizer,
            init=init,
            value=score.mean,
            sd=score.sd,
            n=score.trained,
            unit=sample.unit,
            better="higher",
            remarks=tuple(remarks),
        )
        entries.append(_as_loss(entry) if entry.unit == "minus loss" else entry)
    return entries
