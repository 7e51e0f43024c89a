"""What a study may not say, and how it is told."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from robustness.errors import SpecError
from robustness.spec import expand, override, parse, read_file
from tests.builders import spec
from tests.spec.bad_specs import BAD, BAD_TEXTS


def refusal(changes: dict[str, Any]) -> SpecError:
    with pytest.raises(SpecError) as caught:
        expand(parse(spec(**changes)))
    return caught.value


@pytest.mark.parametrize(("changes", "path", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_bad_spec_is_refused_with_its_path_and_rule(changes: dict[str, Any], path: str, words: str) -> None:
    problems = refusal(changes).problems
    assert [p for p in problems if p.path == path and words in p.message], problems


@pytest.mark.parametrize(("kind", "text", "words"), [b[1:] for b in BAD_TEXTS], ids=[b[0] for b in BAD_TEXTS])
def test_a_bad_file_is_refused(kind: str, text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / f"study.{kind}"
    path.write_text(text)
    with pytest.raises(SpecError, match=words):
        read_file(path)


def test_all_problems_are_told_at_once() -> None:
    found = refusal({"task": {"epochs": 0, "batch": 3}, "optimizers": [{"name": "sdg"}]}).problems
    assert {p.path for p in found} >= {"tasks[0].batch", "optimizers[0].name"}


def test_a_grid_of_a_billion_cells_is_refused_in_no_time() -> None:
    study = parse(spec(search={"lr": {"low": 1e-9, "high": 1.0, "points": 10**9}}))
    began = time.perf_counter()
    with pytest.raises(SpecError, match="1,000,000,000"):
        expand(study)
    assert time.perf_counter() - began < 0.05


def test_the_limit_of_cells_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    study = parse(spec())
    with pytest.raises(SpecError, match="at most 1 cells"):
        expand(study, max_cells=1)
    for value, words in (("1", "at most 1 cells"), ("100,000", "must be a whole number, got '100,000'")):
        monkeypatch.setenv("ROBUSTNESS_MAX_CELLS", value)
        with pytest.raises(SpecError, match=words):
            expand(study)


def test_an_error_shows_what_a_file_held_without_sending_it_to_the_terminal() -> None:
    text = str(refusal({"\x1b[31m" + "x" * 1_000: 1}))
    assert "\x1b" not in text
    assert "\\x1b[31m" in text


def test_thousands_of_problems_are_cut_short() -> None:
    text = str(refusal({"optimizers": [{"name": "sgd", "momentum": ["x" * 1_000] * 5_000}]}))
    assert text.endswith("and 4,980 more")
    assert len(text) < 10_000


@pytest.mark.parametrize("ending", ["txt", ""])
def test_an_unknown_ending_is_refused(ending: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="must end in"):
        read_file(tmp_path / f"study.{ending}")


def test_a_missing_file_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "quickstart.toml").touch()
    with pytest.raises(SpecError, match=r"no such file; did you mean 'quickstart\.toml'"):
        read_file(tmp_path / "quickstar.toml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="UTF-8"):
        read_file(path)


def test_a_folder_is_refused_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "study.toml").mkdir()
    with pytest.raises(SpecError, match="cannot be read"):
        read_file(tmp_path / "study.toml")


@pytest.mark.parametrize(
    "assignment",
    [
        "search.seeds",
        "=3",
        "tasks[7].epochs=3",
        "tasks.epochs=3",
        "name.x=3",
        "[0]=1",
        "tasks[²].epochs=1",
        "tasks[" + "9" * 5_000 + "]=1",
        "search.seeds=3\nname=1",
    ],
)
def test_an_override_that_leads_nowhere_is_refused(assignment: str) -> None:
    with pytest.raises(SpecError, match="--set"):
        override(spec(), assignment)
