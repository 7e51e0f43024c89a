"""CSV tables that are a grid over a second hyperparameter."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustness.errors import SpecError
from robustness.importers.grid_columns import grid_columns
from robustness.importers.runs import Run
from robustness.summary import measure
from tests.importers.logs import DATA, imported
from tests.test_cli import call


def run(lr: float = 0.1, seed: int | None = 0, optimizer: str = "sgd", **settings: float) -> Run:
    facts = {"where": "runs.csv, line 2", "words": {}}
    return Run(
        file="runs.csv", task="t", optimizer=optimizer, lr=lr, seed=seed, settings=settings, facts=facts
    )


def grid(seeds: int, with_seeds: bool, **columns: tuple[float, ...]) -> list[Run]:
    return [
        run(lr, seed if with_seeds else None, **dict[str, Any](zip(columns, values, strict=True)))
        for lr in (0.01, 0.1, 1.0)
        for values in itertools.product(*columns.values())
        for seed in range(seeds)
    ]


@pytest.mark.parametrize("file", ["grid.csv", "noseed.csv"])
def test_each_value_of_a_second_hyperparameter_is_an_optimizer_with_its_own_seeds(
    tmp_path: Path, file: str
) -> None:
    study = imported(tmp_path, "csv", DATA / "csv" / file)
    assert study.trials["optimizer"].unique().tolist() == ["sgd weight_decay=0", "sgd weight_decay=0.001"]
    assert study.trials["seed_index"].tolist() == [0, 0, 1, 1]
    scores = {
        row.optimizer: (row.value, row.n)
        for row in measure(study, metrics=("score",))
        if row.init is not None
    }
    assert scores["sgd weight_decay=0"] == pytest.approx((0.905, 2))  # not 0.855 over 4 seeds
    assert scores["sgd weight_decay=0.001"] == pytest.approx((0.805, 2))
    assert study.source["notes"] == ["sgd: runs that differ in weight_decay are optimizers of their own"]


@pytest.mark.parametrize("with_seeds", [True, False])
def test_a_grid_over_two_columns_shows_both(with_seeds: bool) -> None:
    heads = grid(3, with_seeds, weight_decay=(0.0, 1e-3), momentum=(0.0, 0.9), width=(64.0,))
    assert grid_columns(heads) == {"sgd": ("momentum", "weight_decay")}


def measured(heads: list[Run]) -> list[Run]:
    """With a column of results, which has another value in each run, and one of the device."""
    return [
        Run(
            **{
                **fields(head),
                "settings": {**head.settings, "gradient_norm": 1.0 + 0.01 * i, "device": i % 2},
            }
        )
        for i, head in enumerate(heads)
    ]


def fields(head: Run) -> dict[str, Any]:
    return {name: getattr(head, name) for name in Run.__slots__}


def test_columns_of_results_and_devices_are_no_hyperparameters_of_seeded_runs() -> None:
    assert grid_columns(measured(grid(3, True, weight_decay=(0.0, 1e-3)))) == {"sgd": ("weight_decay",)}
    assert grid_columns(measured(grid(3, True))) == {"sgd": ()}


def test_a_column_that_numbers_runs_without_seeds_is_a_seed_by_another_name() -> None:
    assert grid_columns(grid(1, False, repetition=(1.0, 2.0, 3.0))) == {"sgd": ()}
    assert grid_columns(grid(1, False, weight_decay=(0.0, 1e-4, 1e-3))) == {"sgd": ("weight_decay",)}


def test_a_column_that_says_how_runs_ended_is_no_hyperparameter() -> None:
    heads = [
        run(lr, None, converged=float(trained))
        for lr, ends in ((0.01, (1, 1, 1)), (0.1, (1, 1, 0)), (1.0, (0, 0, 1)), (10.0, (0, 0, 0)))
        for trained in ends
    ]
    assert grid_columns(heads) == {"sgd": ()}


def test_random_searches_keep_their_name() -> None:
    heads = [run(0.1 * 1.1**i, None, weight_decay=0.001 * 1.2**i) for i in range(20)]
    assert grid_columns(heads) == {"sgd": ()}


def test_an_optimizer_that_lacks_the_column_keeps_its_name() -> None:
    heads = [*grid(2, True, weight_decay=(0.0, 1e-3)), run(optimizer="adam")]
    assert grid_columns(heads) == {"sgd": ("weight_decay",), "adam": ()}


columns = st.dictionaries(
    st.sampled_from(["momentum", "beta2", "weight_decay"]),
    st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9]), min_size=2, max_size=3, unique=True).map(tuple),
    max_size=3,
)


@given(columns, st.integers(2, 4), st.randoms(use_true_random=False))
def test_a_full_grid_with_seeds_is_told_apart_by_its_columns_in_any_order(
    values: dict[str, tuple[float, ...]], seeds: int, random: Any
) -> None:
    heads = grid(seeds, True, **values)
    random.shuffle(heads)
    assert grid_columns(heads) == {"sgd": tuple(sorted(values))}


def table(folder: Path, *rows: str) -> Path:
    path = folder / "runs.csv"
    path.write_text("\n".join(rows))
    return path


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (
            ("optimizer,lr,seed,test_accuracy,schedule", "sgd,0.1,0,0.9,cosine", "sgd,0.1,0,0.8,step"),
            "schedule",
        ),
        (("optimizer,lr,seed,test_accuracy,norm", "sgd,0.1,0,0.9,1.5", "sgd,0.1,0,0.8,2.5"), "norm"),
        (("optimizer,lr,seed,test_accuracy,wd", "sgd,0.1,0,0.9,0.1", "sgd,0.1,0,0.8,"), "wd"),
    ],
    ids=["words", "a value a run", "missing in some"],
)
def test_a_repeated_run_is_refused_with_the_column_that_differs(
    tmp_path: Path, rows: tuple[str, ...], columns: str
) -> None:
    with pytest.raises(
        SpecError, match=f"line 3: repeats the run .* line 2; .* differ in {columns} must differ"
    ):
        imported(tmp_path, "csv", table(tmp_path, *rows))


def test_interleaved_epochs_of_two_settings_are_refused(tmp_path: Path) -> None:
    """The rows between two settings would make a run of both."""
    rows = [f"sgd,0.1,0,{epoch},0.9,{decay}" for epoch in (1, 2) for decay in (0.0, 0.1)]
    with pytest.raises(SpecError, match="rows of one run must stand together"):
        imported(
            tmp_path, "csv", table(tmp_path, "optimizer,lr,seed,epoch,test_accuracy,weight_decay", *rows)
        )


def test_labels_of_a_grid_come_back_from_an_export(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    study = imported(tmp_path, "csv", DATA / "csv" / "grid.csv")
    assert call("export", "logs", "--store", url, "-o", tmp_path / "x.csv") == 0
    again = imported(tmp_path, "csv", tmp_path / "x.csv", name="again")
    labels = ["optimizer", "lr", "seed_index", "score"]
    assert again.complete[labels].equals(study.complete[labels])
