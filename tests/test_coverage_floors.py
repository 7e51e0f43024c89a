"""Coverage floors are held: too little is said and fails, and a floor of files that are not there is an error."""

from __future__ import annotations

from pathlib import Path

import coverage
import pytest

from tests.coverage_floors import below_floors, floors_of


@pytest.fixture
def half_covered(tmp_path: Path) -> coverage.Coverage:
    """A file of four lines, of which two ran."""
    file = tmp_path / "half.py"
    file.write_text("a = 1\nb = 2\nc = 3\nd = 4\n")
    measured = coverage.Coverage(data_file=None, config_file=False, source=[str(tmp_path)])
    data = measured.get_data()
    data.add_lines({str(file): [1, 2]})
    return measured


def test_what_is_below_its_floor_is_said_with_both_figures(half_covered: coverage.Coverage) -> None:
    [sentence] = below_floors(half_covered, {"*/half.py": 51})
    assert sentence == "*/half.py: 50.0 % of lines and branches are tested, less than 51 %"


def test_what_is_at_its_floor_passes(half_covered: coverage.Coverage) -> None:
    assert below_floors(half_covered, {"*/half.py": 50}) == []


def test_a_floor_of_no_file_is_an_error(half_covered: coverage.Coverage) -> None:
    with pytest.raises(coverage.exceptions.NoDataError):
        below_floors(half_covered, {"*/renamed.py": 50})


def test_every_floor_of_the_project_is_of_files_that_exist() -> None:
    root = Path(__file__).parents[1]
    floors = floors_of(root / "pyproject.toml")
    assert {
        "robustness/summary/*",
        "robustness/spec/*",
        "robustness/trial.py",
        "robustness/*",
    } <= floors.keys()
    for pattern, floor in floors.items():
        assert list(root.glob(pattern)), pattern
        assert 0 < floor <= 100
