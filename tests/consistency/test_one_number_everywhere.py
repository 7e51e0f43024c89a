"""A number that stands in two places is the same in both: tables, squares, pages, JSON, sentences, reports."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from robustness.report import answer
from robustness.store import open_store
from robustness.summary import load_study
from robustness.tables import standard_table, write_html
from tests.consistency.counts import count_sightings, report_sightings
from tests.consistency.ends import end_sightings
from tests.consistency.rates import rate_sightings
from tests.consistency.sightings import Opened, Sighting, disagreements
from tests.consistency.squares import square_sightings
from tests.consistency.stores import KINDS, make_store
from tests.consistency.tuned import tuned_sightings

COLLECTORS = (square_sightings, rate_sightings, tuned_sightings, end_sightings, count_sightings)


@contextmanager
def opened_store(kind: str, folder: Path) -> Iterator[Opened]:
    at = make_store(kind, folder)
    with open_store(at.url) as store:
        yield Opened(at, store, load_study(store, at.study))


@pytest.fixture(scope="module")
def sightings_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Sighting]]:
    """What the collectors find in the store of a kind, which is made once."""
    known: dict[str, list[Sighting]] = {}

    def collect(kind: str) -> list[Sighting]:
        if kind not in known:
            with opened_store(kind, tmp_path_factory.mktemp("store")) as opened:
                known[kind] = [sighting for find in COLLECTORS for sighting in find(opened)]
        return known[kind]

    return collect


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_that_stands_in_two_places_is_the_same_in_both(
    kind: str, sightings_of: Callable[[str], list[Sighting]]
) -> None:
    assert list(disagreements(sightings_of(kind))) == []


def test_every_number_that_is_collected_stands_in_two_places(
    sightings_of: Callable[[str], list[Sighting]],
) -> None:
    """Else a collector compares a number with nothing."""
    places: dict[tuple[str, str], int] = {}
    for kind in KINDS:
        by_what: dict[tuple[str, ...], set[str]] = {}
        for sighting in sightings_of(kind):
            by_what.setdefault(sighting.what, set()).add(sighting.where)
        for what, where in by_what.items():
            number = (what[0], what[-1])
            places[number] = max(places.get(number, 0), len(where))
    assert len(places) > 60
    assert [number for number, most in places.items() if most < 2] == []


def test_a_report_states_the_counts_the_answer_and_the_table_of_its_study(tmp_path: Path) -> None:
    with opened_store("refine with confirm", tmp_path) as opened:
        sightings = [*count_sightings(opened), *report_sightings(opened, tmp_path)]
        assert list(disagreements(sightings)) == []
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        for sentence in answer(opened.study):
            assert sentence in html.unescape(page)
        for entry in re.findall(r"<td[^>]*>[^<]*</td>", write_html(standard_table(opened.study))):
            assert entry in page


def test_two_numbers_that_differ_by_more_than_their_rounding_disagree() -> None:
    what = ("rate", "sgd", "value")
    exact, rounded = Sighting(what, "metrics", 1 / 3), Sighting(what, "table", 0.333, 0.0005)
    assert list(disagreements([rounded, exact])) == []
    for value in (0.3345, float("nan")):
        [text] = disagreements([exact, Sighting(what, "table", value, 0.0005)])
        assert "in metrics" in text
        assert "in table" in text
