"""The table under a picture says what the picture shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from robustness.dashboards.numbers import columns, points

from robustness.figures import Request, applicable, draw
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
    figure = draw("curves", request_of(study, store))
    assert columns(figure) == ("panel", "line", "learning rate", "test accuracy")
    found = list(points(figure))
    median = study.complete.query("optimizer == 'adam' and lr == 0.1")["score"].median()
    assert ("default", "adam", "0.1", f"{median:.4g}") in found
    assert {row[2] for row in found} == {"0.1", "1"}


def test_rows_of_a_figure_are_called_by_their_labels(study: Study, store: Store) -> None:
    for name in ("critical-lr", "spread"):
        assert {row[3] for row in points(draw(name, request_of(study, store)))} == {"default"}


def test_every_figure_has_its_numbers_in_words(study: Study, store: Store) -> None:
    request = request_of(study, store)
    drawn = [name for name in applicable(request) if not name.startswith("heatmap") and name != "difference"]
    assert len(drawn) >= 7
    for name in drawn:
        found = list(points(draw(name, request)))
        assert found, name
        assert all("nan" not in text for row in found for text in row), name
