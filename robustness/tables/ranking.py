"""Which optimizer is best, which second, and which differ from the best by a test."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from robustness.summary.flags import Flag
from robustness.tables.entries import printed
from robustness.tables.measured import Measurement

__all__ = ["LEVEL", "Pair", "Ranking", "Test", "ranked"]

LEVEL = 0.05
"""Of the significance mark, after Holm's correction over the table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """An optimizer to be tested against the best one of its task, initialization and metric."""

    metric: str
    at: str
    task: str | None
    init: str | None
    best: str
    other: str


Test = Callable[[Sequence[Pair]], Sequence[float]]
"""The p values of pairs, corrected over all of them; NaN where no test is possible."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Places in the list of measurements.

    Attributes:
        best: ties included, as printed: two equal texts are never told apart; none where all tie.
        second: the next one, where there are three or more optimizers and a single best.
        differs: significantly worse than the best.
        tested: pairs with a p value.
        metrics: of those pairs; what has no test can have no mark.
    """

    best: frozenset[int]
    second: frozenset[int]
    differs: frozenset[int]
    tested: int
    metrics: tuple[str, ...] = ()


def ranked(measured: Sequence[Measurement], test: Test | None = None) -> Ranking:
    """Rank the optimizers of each metric, task and initialization.

    Args:
        measured: entries.
        test: p values of pairs; without one nothing is marked.
    """
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for place, m in enumerate(measured):
        if m.better:
            groups[m.metric, m.at, m.task, m.init].append(place)
    best: set[int] = set()
    second: set[int] = set()
    pairs: dict[int, Pair] = {}
    for places in groups.values():
        first, next_ = _best_and_second(measured, places)
        best.update(first)
        second.update(next_)
        for place in places:
            if first and place not in first and not math.isnan(measured[place].value):
                pairs[place] = _pair(measured[first[0]], measured[place])
    p_values = test(list(pairs.values())) if test is not None and pairs else [math.nan] * len(pairs)
    differs = {place for place, p in zip(pairs, p_values, strict=True) if p < LEVEL}
    tested = [pair.metric for pair, p in zip(pairs.values(), p_values, strict=True) if not math.isnan(p)]
    return Ranking(
        best=frozenset(best),
        second=frozenset(second),
        differs=frozenset(differs),
        tested=len(tested),
        metrics=tuple(dict.fromkeys(tested)),
    )


def _best_and_second(measured: Sequence[Measurement], places: Iterable[int]) -> tuple[list[int], list[int]]:
    places = list(places)
    # An optimizer that trains nowhere diverges nowhere either: no rate of it is a best one.
    known = [
        place
        for place in places
        if not math.isnan(measured[place].value) and not measured[place].has(Flag.NOTHING_TRAINS)
    ]
    sign = -1 if measured[places[0]].better == "higher" else 1
    known.sort(key=lambda place: sign * measured[place].value)
    if len(places) < 2 or not known:
        return [], []  # one optimizer alone is no best
    best = _ties(measured, known)
    if len(best) == len(places):
        return [], []  # as good as the worst
    rest = known[len(best) :]
    return best, _ties(measured, rest) if rest and len(places) > 2 and len(best) == 1 else []


def _ties(measured: Sequence[Measurement], ordered: list[int]) -> list[int]:
    text = printed(measured[ordered[0]], measured[ordered[0]].value)
    return [place for place in ordered if printed(measured[place], measured[place].value) == text]


def _pair(best: Measurement, other: Measurement) -> Pair:
    return Pair(
        metric=best.metric,
        at=best.at,
        task=best.task,
        init=best.init,
        best=best.optimizer,
        other=other.optimizer,
    )
