"""The table under a picture says what the picture shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from robustness.figures import Request, applicable
from robustness.figures.gallery import info
from robustness.store import Store, open_store
from robustness.summary import Study, load_study
from tests.service.live import fill


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(str(tmp_path_factory.mktemp("store") / "store.db"), create=True) as opened:
        fill(opened)
        yield opened


@pytest.fixture(scope="module")
def study(store: Store) -> Study:
    return load_study(store, "filled")


def request_of(study: Study, store: Store) -> Request:
    return Request(study=study, task=next(iter(study.tasks)), store=store)


def test_points_of_curves_are_the_medians_at_the_learning_rates_themselves(
    study: Study, store: Store
) -> None:
    frame = info("curves", request_of(study, store)).frame()
    median = study.complete.query("optimizer == 'adam' and lr == 0.1")["score"].median()
    [point] = frame.query("init == 'default' and optimizer == 'adam' and lr == 0.1").to_dict("records")
    assert point["median"] == median
    assert set(frame["lr"]) == {0.1, 1.0}


def test_every_figure_that_applies_has_a_frame_with_rows(study: Study, store: Store) -> None:
    request = request_of(study, store)
    names = applicable(request)
    assert len(names) >= 10
    for name in names:
        frame = info(name, request).frame()
        assert len(frame), name
        assert not frame.columns.duplicated().any(), name


def test_squares_of_a_heatmap_are_those_of_the_grid(study: Study, store: Store) -> None:
    request = request_of(study, store)
    squares = study.grid.squares
    for shade in ("diverged", "score", "nonfinite", "not-trained"):
        frame = info(f"heatmap-{shade}", request).frame()
        assert frame.equals(squares[squares["task"] == request.task].drop(columns="task"))
