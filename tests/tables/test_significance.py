"""P values of pairs, from comparisons that are made elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from robustness.tables.ranking import Pair
from robustness.tables.significance import paired_test


@dataclass(frozen=True)
class Found:
    task: str
    init: str | None
    metric: str
    difference: float
    p: float
    can_tell: bool = True


def bonferroni(p_values: Sequence[float]) -> list[float]:
    tested = sum(not math.isnan(p) for p in p_values)
    return [p * tested for p in p_values]


def pair(other: str, metric: str = "score", init: str | None = "i", at: str = "") -> Pair:
    return Pair(metric=metric, at=at, task="t", init=init, best="a", other=other)


def test_pairs_are_compared_together_and_corrected_over_the_table() -> None:
    calls = []

    def compare(best: str, other: str, metrics: list[str], each: bool) -> list[Found]:
        calls.append((best, other, metrics, each))
        return [
            Found(task, "i" if each else None, metric, -0.1 if metric == "divergence_rate" else 0.1, 0.01)
            for task in ("t", "elsewhere")
            for metric in metrics
        ]

    test = paired_test(compare, bonferroni, ("score", "divergence_rate"))
    p_values = test(
        [pair("b"), pair("c"), pair("b", "divergence_rate"), pair("b", "divergence_rate", init=None)]
    )
    assert calls == [
        ("a", "b", ["score", "divergence_rate"], True),
        ("a", "c", ["score"], True),
        ("a", "b", ["divergence_rate"], False),
    ]
    assert p_values == [0.04] * 4


def test_what_has_no_test_has_no_p_and_does_not_count() -> None:
    test = paired_test(lambda *_: [Found("t", "i", "score", 0.1, 0.01)], bonferroni, ("score",))
    known, *rest = test([pair("b"), pair("b", "iqm"), pair("b", at="k = 4"), pair("b", init="elsewhere")])
    assert known == 0.01
    assert all(math.isnan(p) for p in rest)


def test_a_difference_the_other_way_is_not_significant() -> None:
    test = paired_test(lambda *_: [Found("t", "i", "score", -0.1, 0.001)], bonferroni, ("score",))
    assert test([pair("b")]) == [1.0]


def test_a_difference_that_the_grid_cannot_resolve_is_not_significant() -> None:
    test = paired_test(lambda *_: [Found("t", "i", "score", 0.1, 0.001, False)], bonferroni, ("score",))
    assert test([pair("b")]) == [1.0]
