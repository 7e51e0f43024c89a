"""What holds for every format: one transaction, keys, labels, sources; and the command."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustness.errors import SpecError, StoreMissing
from robustness.importers import FORMATS, import_logs, surveyed
from robustness.importers.runs import Run, epoch_row, until_death
from robustness.importers.study import joined
from robustness.store import Store, open_store
from robustness.summary import load_study
from tests.builders import save
from tests.importers.logs import DATA, deepobs, imported, keys
from tests.test_cli import call

Rates = st.lists(st.floats(min_value=1e-300, max_value=1e300), min_size=1)


@given(Rates)
def test_joined_learning_rates_stay_what_they_are_but_for_rounding(rates: list[float]) -> None:
    found = joined(rates)
    assert set(found) == set(rates)
    for lr, common in found.items():
        assert common in rates
        assert abs(math.log10(lr) - math.log10(common)) <= 1.1e-6
        assert found[common] == common


def test_an_import_is_the_same_on_every_database_and_when_repeated(store: Store) -> None:
    frames, identities = [], []
    for _ in range(2):
        assert import_logs(store, surveyed("deepobs", DATA / "deepobs", name="logs"), title="T") == 5
        frames.append(load_study(store, "logs").trials)
        identities.append(keys(store))
    assert frames[0].equals(frames[1])
    assert identities[0] == identities[1]
    [row] = store.studies()
    assert (row.name, row.title, row.complete) == ("logs", "T", 5)


def test_an_import_with_other_labels_replaces_the_earlier_one(store: Store) -> None:
    """As the importer of an earlier version made them, with the budget in the optimizer's label."""
    found = surveyed("deepobs", DATA / "deepobs", name="logs")
    earlier = tuple(replace(place, optimizer="Adam batch_size=128") for place in found.places)
    import_logs(store, replace(found, places=earlier))
    assert set(load_study(store, "logs").trials["optimizer"]) == {"Adam batch_size=128"}
    identities = keys(store)
    import_logs(store, found)
    assert set(load_study(store, "logs").trials["optimizer"]) == {"Adam"}
    assert keys(store) == identities


def test_two_imports_of_the_same_files_share_no_trial(store: Store) -> None:
    found: list[set[str]] = []
    for name in ("a", "b"):
        import_logs(store, surveyed("opda", DATA / "opda", name=name))
        found.append(set(keys(store, name)))
    assert not found[0] & found[1]


def test_the_name_of_a_study_that_was_run_is_refused(store: Store) -> None:
    save(store)
    with pytest.raises(SpecError, match="'small' is a study that was run here"):
        import_logs(store, surveyed("opda", DATA / "opda", name="small"))
    assert len(load_study(store, "small").trials) == 4


def test_the_name_of_an_imported_study_cannot_be_run(store: Store) -> None:
    import_logs(store, surveyed("opda", DATA / "opda", name="small"))
    with pytest.raises(SpecError, match="'small' is an imported study in this store"):
        save(store)
    assert len(load_study(store, "small").trials) == 12


def test_running_a_spec_with_the_name_of_an_import_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.test_cli import spec_file

    url = f"sqlite:///{tmp_path / 'store.db'}"
    assert call("import", "opda", DATA / "opda", "--name", "small", "--store", url) == 0
    assert call("run", spec_file(tmp_path), "--store", url) == 2
    assert "is an imported study in this store; choose another name" in capsys.readouterr().err


def test_an_import_that_breaks_leaves_the_earlier_one(store: Store) -> None:
    import_logs(store, surveyed("opda", DATA / "opda", name="logs"))
    found = surveyed("deepobs", DATA / "deepobs", name="logs")

    def breaking(*arguments: object) -> Iterator[Run]:
        yield from found.format.runs(found.files[0], "x", lambda size: None)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        import_logs(store, replace(found, format=replace(found.format, runs=breaking)))
    assert len(load_study(store, "logs").trials) == 12


def test_a_file_that_changes_between_the_passes_is_refused(store: Store, tmp_path: Path) -> None:
    file = deepobs(tmp_path, train=[2.3, 0.3], accuracies=[0.1, 0.9])
    found = surveyed("deepobs", tmp_path, name="logs")
    file.write_text(file.read_text().replace("0.9", "0.8"))
    with pytest.raises(SpecError, match=r"random_seed__42__2019\.json: changed while it was imported"):
        import_logs(store, found)
    with pytest.raises(StoreMissing):
        store.study("logs")


def test_the_source_is_recorded(tmp_path: Path) -> None:
    study = imported(tmp_path, "deepobs", DATA / "deepobs")
    again = imported(tmp_path, "deepobs", DATA / "deepobs" / "fmnist_2c2d", name="again")
    assert list(study.source) == ["format", "path", "files", "sha256", "imported_at", "version", "notes"]
    assert (study.source["format"], study.source["path"]) == ("deepobs", str(DATA / "deepobs"))
    assert study.source["sha256"] == again.source["sha256"]
    assert len(study.source["sha256"]) == 64


def test_formulas_and_markup_in_labels_survive_as_data(tmp_path: Path) -> None:
    hostile = "=cmd|'/c calc'!A1 <script>alert(1)</script> \\input{x} %s"
    deepobs(
        tmp_path / "in",
        train=[2.3, 0.3],
        accuracies=[0.1, 0.9],
        problem="p",
        optimizer=hostile,
        testproblem=hostile,
    )
    study = imported(tmp_path, "deepobs", tmp_path / "in")
    [trial] = study.trials.to_dict("records")
    assert (trial["task"], trial["optimizer"]) == (hostile, hostile)


def test_only_dead_epochs_at_the_end_go() -> None:
    rows = [epoch_row(i, test_accuracy=0.1) for i in range(1, 5)]
    assert [row.epoch for row in until_death(rows, [False, True, False, False])] == [1, 2, 3, 4]
    assert [row.epoch for row in until_death(rows, [False, True, True, True])] == [1, 2]
    assert until_death([], []) == ()


# -- the command -----------------------------------------------------------------------------------


def test_the_command_says_what_it_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    arguments = ("import", "deepobs", DATA / "deepobs", "--store", url, "--name", "logs", "--title", "Logs")
    assert call(*arguments) == 0
    assert capsys.readouterr() == ("5 trials of 1 task in study logs\n", "")
    assert call("show", "logs", "--store", url) == 0
    assert "Logs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("deepobz", "."),
            "no format 'deepobz'; did you mean 'deepobs'? (known: csv, deepobs, opda, step-back)",
        ),
        (("csv", "nowhere.csv"), "PATH: nowhere.csv does not exist"),
        (("csv", "x" * 5_000), "PATH: "),
        (("csv", "/dev/null"), "is neither a file nor a folder"),
        (("opda", DATA / "step-back" / "test_shakespeare.json"), "test_shakespeare.json, line 1: "),
        (("csv", DATA / "README.md"), "README.md"),
        (("opda", DATA / "opda", "--name", "a b"), "--name: must be 1 to 64 of"),
        (("opda", DATA / "opda", "--title", "a" * 2_000), "--title: must have at most 1,000 characters"),
        (("opda", DATA / "opda", "--title", "a\x1b[31m"), "--title: must be one line"),
    ],
)
def test_a_mistake_is_a_message_and_leaves_no_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[object, ...], message: str
) -> None:
    file = tmp_path / "store.db"
    names = () if "--name" in arguments else ("--name", "logs")
    assert call("import", *arguments, *names, "--store", f"sqlite:///{file}") == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert message in error
    assert "Traceback" not in error
    assert not file.exists()


def test_notes_go_to_stderr_and_a_misspelt_column_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("optimizer,lr,test_accuracy,sead\nsgd,0.1,0.9,1\n")
    assert call("import", "csv", path, "--name", "x", "--store", f"sqlite:///{tmp_path / 's.db'}") == 0
    out, error = capsys.readouterr()
    assert out == "1 trial of 1 task in study x\n"
    first, *stand_ins = error.splitlines()
    assert first == "note: column 'sead' is not known and kept as it is; did you mean 'seed'?"
    assert all(line.startswith("note: task: ") for line in stand_ins)


def test_a_long_import_shows_a_bar_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robustness.cli.options.SHOW_AFTER", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert (
        call("import", "opda", DATA / "opda", "--name", "x", "--store", f"sqlite:///{tmp_path / 's.db'}") == 0
    )
    out, error = capsys.readouterr()
    assert out == "12 trials of 1 task in study x\n"
    assert "reading" in error


def test_every_format_stands_in_the_commands_help_and_the_readme() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for name in FORMATS:
        assert f"import {name} " in readme


def test_configs_are_json_that_others_can_read(tmp_path: Path) -> None:
    found = surveyed("opda", DATA / "opda", name="logs")
    for trial in found.trials():
        json.loads(trial.config, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    with open_store(f"sqlite:///{tmp_path / 's.db'}", create=True) as store:
        import_logs(store, found)
