"""Edge on rows whose full grid is known: how often its interval holds the first failure, and what it costs.

tests/data/first_failures.csv has a line for each row of studies/insgd/robustness-lr-init-edge.toml that the search was not
chosen on and that has a first failure: optimizers beside INSGD and its controls, or further seeds. `trained` has a digit for
each learning rate of the full grid, 0.05 decades apart; `start` is the place of the optimizer's default.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from robustness.spec.first_failure_search import first_failure
from robustness.spec.sampling import EDGE_CHECK
from robustness.summary.metrics import Chosen, critical_lrs, lowest_first_failure
from robustness.sweep.samplers.edge import wanted

GRID = Path(__file__).parents[2] / "data" / "first_failures.csv"
RESOLUTION = 0.05
SIZE = 101


class GridRow(NamedTuple):
    labels: tuple[str, str]
    start: int
    trained: list[bool]


class Replay(NamedTuple):
    """Of one row, as places: its true first failure, the interval, and the trials that were made."""

    true: int
    low: int
    tried: int
    trials: int


def grid_rows() -> list[GridRow]:
    with GRID.open(newline="") as file:
        lines = list(csv.DictReader(file))
    return [
        GridRow(
            (line["optimizer"], line["init"]), int(line["start"]), [digit == "1" for digit in line["trained"]]
        )
        for line in lines
    ]


def replay_of(row: GridRow) -> Replay:
    trained: dict[int, bool] = {}
    while places := wanted(trained, size=SIZE, start=row.start, decade=20, check=EDGE_CHECK):
        trained |= {k: row.trained[k] for k, _ in places}
    trained_L = np.array([float(trained[k]) if k in trained else np.nan for k in range(SIZE)])
    lrs_L = np.asarray(10 ** (RESOLUTION * np.arange(SIZE)), dtype=np.float64)
    chosen = Chosen(resolution=RESOLUTION, top=5.0)
    critical = critical_lrs(trained_L, lrs_L, chosen)
    low, tried = (
        round(float(log) / RESOLUTION)
        for log in (lowest_first_failure(trained_L, lrs_L, critical, chosen), critical.first_not_trained)
    )
    true = first_failure(dict(enumerate(row.trained)))
    assert true is not None
    return Replay(true, low, tried, len(trained))


@pytest.fixture(scope="module")
def replays() -> list[tuple[GridRow, Replay]]:
    return [(row, replay_of(row)) for row in grid_rows()]


def share_held(replayed: list[Replay]) -> float:
    return float(np.mean([replay.low <= replay.true <= replay.tried for replay in replayed]))


def share_of_trials(replayed: list[Replay]) -> float:
    return float(np.mean([replay.trials for replay in replayed])) / SIZE


def test_the_interval_holds_the_first_failure_in_nine_of_ten_rows_with_a_fifth_of_the_trials(
    replays: list[tuple[GridRow, Replay]],
) -> None:
    replayed = [replay for _, replay in replays]
    assert len(replayed) > 200
    assert share_held(replayed) >= 0.9
    assert share_of_trials(replayed) <= 0.2
    assert np.mean([replay.tried == replay.true for replay in replayed]) >= 0.95
    # Wide intervals would hold anything.
    assert RESOLUTION * np.mean([replay.tried - replay.low for replay in replayed]) < 0.1


def test_it_also_holds_where_training_ends_least_sharply(replays: list[tuple[GridRow, Replay]]) -> None:
    replayed = [replay for row, replay in replays if row.labels == ("insgd-l2", "normal std=0.01")]
    assert len(replayed) == 15
    assert share_held(replayed) >= 0.9
    assert share_of_trials(replayed) <= 0.2
