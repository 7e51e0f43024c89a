"""Edge: where training ends, found by bisection."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from robustness.spec.first_failure_search import first_failure, most_places
from robustness.sweep.samplers.edge import wanted
from robustness.trial import Trial
from tests.builders import space as space_of
from tests.sweep.samplers.asked import asked, observation

SEARCH = {
    "sampler": "edge",
    "lr": {"low": 1e-3, "high": 100.0},
    "seeds": 2,
    "init": ["default", "orthogonal"],
}


def walked(trains: list[bool], start: int, check: int = 16) -> dict[int, str]:
    """The places that are tried on a lattice with these outcomes, each with its reason."""
    tried: dict[int, str] = {}
    known: dict[int, bool] = {}
    while found := wanted(known, size=len(trains), start=start, decade=20, check=check):
        tried.update(found)
        known.update({k: trains[k] for k, _ in found})
    return tried


@given(st.lists(st.booleans(), min_size=101, max_size=101), st.integers(0, 100))
def test_whatever_the_outcomes_it_ends_at_a_change_or_at_a_bound(trains: list[bool], start: int) -> None:
    tried = walked(trains, start, check=0)
    places = sorted(tried)
    changes = [k for k in places if trains[k] and k + 1 in tried and not trains[k + 1]]
    if any(trains[k] for k in places):
        assert changes or trains[places[-1]]
        assert trains[100] or changes
    else:
        assert {0, 100} <= set(places)
    assert len(tried) <= 7 + 5 + 5


@given(st.integers(0, 99), st.integers(0, 100))
def test_a_monotone_row_takes_at_most_a_fifth_of_the_grids_trials(last: int, start: int) -> None:
    trains = [k <= last for k in range(101)]
    tried = walked(trains, start)
    assert {last, last + 1} <= tried.keys()
    assert len(tried) <= 7 + 5 + 9


@given(
    st.lists(st.booleans(), min_size=1, max_size=101),
    st.floats(0, 1),
    st.integers(1, 40),
    st.sampled_from([0, 1, 6, 16]),
)
def test_no_row_takes_more_places_than_is_promised(
    trains: list[bool], start: float, decade: int, check: int
) -> None:
    lattice = {
        "size": len(trains),
        "start": round(start * (len(trains) - 1)),
        "decade": decade,
        "check": check,
    }
    trained: dict[int, bool] = {}
    while places := wanted(trained, **lattice):
        trained |= {k: trains[k] for k, _ in places}
    assert len(trained) <= most_places(**lattice)
    failure = first_failure(trained)
    assert failure is None or trained[failure - 1]


def test_training_above_the_edge_is_looked_for_beside_it() -> None:
    trains = [k <= 60 or k == 64 for k in range(101)]
    tried = walked(trains, 60)
    assert 64 in tried
    # Since 64 trains three places above the first failure, seven below that are tried and not five.
    assert set(range(54, 61)) <= tried.keys()
    assert 53 not in tried


def test_a_failure_below_the_edge_becomes_the_edge_and_is_checked_around_in_its_turn() -> None:
    trains = [k <= 66 and k not in (58, 61, 62) for k in range(101)]
    tried = walked(trains, 40)
    assert {57, 58, 61, 66, 67} <= tried.keys()


def test_a_failure_apart_from_the_edge_is_found_by_a_place_half_a_decade_below() -> None:
    trains = [k <= 70 and not 58 <= k <= 62 for k in range(101)]
    assert first_failure({k: trains[k] for k in walked(trains, 70)}) == 58


def test_a_failure_below_the_place_where_the_search_began_is_found() -> None:
    trains = [k <= 62 and k != 58 for k in range(101)]
    assert {57, 58} <= walked(trains, 60).keys()


def test_check_is_the_most_places_that_are_tried_around_an_edge() -> None:
    trains = [k <= 60 or k == 64 for k in range(101)]
    reasons = list(walked(trains, 40, check=6).values())
    assert reasons.count("check") == 6
    assert "check" not in walked(trains, 40, check=0).values()


def test_a_row_that_trains_up_to_the_bound_or_nowhere_takes_a_trial_a_decade() -> None:
    assert sorted(walked([True] * 101, 40)) == [40, 60, 80, 100]
    assert sorted(walked([False] * 101, 40)) == [0, 20, 40, 60, 80, 100]


def test_every_row_of_a_study_is_bisected_on_the_lattice_of_its_range() -> None:
    space = space_of(search=SEARCH)
    critical = 0.37

    rounds = asked(space, lambda trial: observation(0.9 * (trial.cell.lr <= critical)))
    by_row: dict[tuple[str, int], list[Trial]] = {}
    for part in rounds:
        assert len({(item.init, item.trial.seed_index) for item in part}) == 4  # all rows advance together
        for item in part:
            by_row.setdefault((item.init, item.trial.seed_index), []).append(item.trial)
    for trials in by_row.values():
        logs = [math.log10(trial.cell.lr) for trial in trials]
        assert all(abs((log + 3) / 0.05 - round((log + 3) / 0.05)) < 1e-9 for log in logs)
        below = max(log for log in logs if 10**log <= critical)
        above = min(log for log in logs if 10**log > critical)
        assert above - below < 0.0501


def test_its_trials_are_those_of_a_grid_with_that_step() -> None:
    edge = space_of(search=SEARCH)
    grid = space_of(search={**SEARCH, "sampler": "grid", "lr": {"low": 1e-3, "high": 100.0, "points": 101}})
    of_grid = {trial.key for trial, _ in grid.trials()}
    rounds = asked(edge, lambda trial: observation(0.9 * (trial.cell.lr <= 2.0)))
    assert {item.trial.key for part in rounds for item in part} <= of_grid


def test_a_row_with_a_failed_execution_stops_and_the_others_go_on() -> None:
    space = space_of(search=SEARCH)
    rounds = asked(
        space,
        lambda t: None if t.seed_index == 1 and t.cell.init.name == "default" else observation(t.cell.lr < 1),
    )
    counts: dict[tuple[str, int], int] = {}
    for part in rounds:
        for item in part:
            row = (item.init, item.trial.seed_index)
            counts[row] = counts.get(row, 0) + 1
    assert counts["default", 1] == 1
    assert min(n for row, n in counts.items() if row != ("default", 1)) > 5
