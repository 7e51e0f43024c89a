"""P values of pairs, from comparisons that are made elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from robustness.spec import COMPARABLE
from robustness.store import open_store
from robustness.summary import load_study
from robustness.summary.comparison.comparing import compare_all
from robustness.summary.rows import DEFAULT_DELTA
from robustness.tables.ranking import Pair
from robustness.tables.significance import NEED_DRAWS, over_seeds, paired_test
from tests.tables.studies import fill


@dataclass(frozen=True)
class Found:
    task: str
    init: str | None
    metric: str
    difference: float
    p: float


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


@pytest.mark.parametrize("each_init", [True, False])
@pytest.mark.parametrize("seeds", [5, 14])  # signs flipped; Student's t
def test_a_mark_rests_on_the_p_of_the_comparison(each_init: bool, seeds: int, tmp_path: Path) -> None:
    search = {"lr": [0.001, 0.01, 0.1, 1.0], "init": ["default", "kaiming-normal"], "seeds": seeds}
    with open_store(f"sqlite:///{tmp_path / 's.db'}", create=True) as store:
        fill(store, leave=3, search=search)
        study = load_study(store, "small")
    metrics = [metric for metric in COMPARABLE if metric not in NEED_DRAWS]
    whole = {
        (c.metric, c.task, c.init): (c.difference, c.p)
        for c in compare_all(study, "insgd", "adam", metrics, each_init=each_init)
    }
    quick = list(over_seeds(study.tuning, "insgd", "adam", metrics, delta=DEFAULT_DELTA, each_init=each_init))
    assert {found.metric for found in quick} == set(metrics)
    for found in quick:
        expected = whole[found.metric, found.task, found.init]
        assert (found.difference, found.p) == pytest.approx(expected, nan_ok=True), found


def test_windows_alone_need_draws(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 's.db'}", create=True) as store:
        fill(store)
        samples = load_study(store, "small").tuning
    tested = over_seeds(samples, "insgd", "adam", list(COMPARABLE), delta=DEFAULT_DELTA, each_init=True)
    assert {found.metric for found in tested} == set(COMPARABLE) - set(NEED_DRAWS)
