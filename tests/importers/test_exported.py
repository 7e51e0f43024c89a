"""Our own exports, imported again: the study that comes back is the one that went out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from robustness.store import CONFIRM, StudyTrial, open_store
from robustness.summary import Study, load_study
from robustness.trial import Trial, TrialRecord
from tests.builders import dead_epoch, epoch, record, save, space, trials
from tests.test_cli import call

SPEC: dict[str, Any] = {
    "optimizers": [{"name": "sgd", "label": "=cmd|sgd"}, {"name": "adam"}],
    "search": {"lr": [0.01, 0.1, 1.0, 10.0], "init": ["default"], "seeds": 2},
}


def ended(trial: Trial) -> TrialRecord:
    """Of each way to end one: trained, with skill earlier, with a loss that rose, stopped, not finite."""
    low = {"validation_accuracy": 0.1, "test_accuracy": 0.1}
    if trial.cell.lr == 0.01:
        return record(trial)
    if trial.cell.lr == 0.1:
        rises = trial.cell.optimizer.name == "adam"
        first = epoch(1, train_loss=1.0, **low) if rises else epoch(1, train_loss=2.2)
        return record(trial, first, epoch(2, train_loss=2.2, **low))
    if trial.cell.lr == 1.0:
        return dataclasses.replace(record(trial, epoch(1, train_loss=2.3, **low)), stopped=True)
    return record(trial, epoch(1), dead_epoch(2), step=30)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with a study of which one trial waits, and another repeats a tuned setting with a fresh seed."""
    url = f"sqlite:///{tmp_path / 's.db'}"
    with open_store(url, create=True) as store:
        held = store.acquire(save(store, **SPEC))
        store.finish(held, [ended(trial) for trial in trials(**SPEC)[:-1]])
        found = space(**SPEC)
        fresh = [
            StudyTrial(dataclasses.replace(trial, seed_index=2), *labels, reason=CONFIRM)
            for trial, labels in found.trials()
            if trial.cell.lr == 0.01 and trial.seed_index == 0
        ]
        store.extend(held, fresh)
        store.finish(held, [record(item.trial, epoch(1, test_accuracy=0.8)) for item in fresh])
        store.release(held)
    return url


def loaded(url: str) -> Study:
    with open_store(url) as store:
        return load_study(store, "small")


def table(url: str, capsys: pytest.CaptureFixture[str], format_: str) -> str:
    capsys.readouterr()
    assert call("table", "small", "--store", url, "--format", format_) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("epochs", [[], ["--epochs"]], ids=["trials", "epochs"])
def test_an_export_comes_back_as_the_same_tables(
    epochs: list[str], url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, again = tmp_path / "x.csv", f"sqlite:///{tmp_path / 'again.db'}"
    assert call("export", "small", "--store", url, "-o", path, *epochs) == 0
    assert call("import", "csv", path, "--name", "small", "--store", again) == 0
    said = capsys.readouterr().err
    assert ("note: 1 trial not complete: left out" in said) is not bool(epochs)
    before, after = loaded(url), loaded(again)
    labels = ["optimizer", "lr", "seed_index", "outcome", "side", "evidence", "score", "chaotic", "reason"]
    labels += ["min_train_loss", "max_earlier_score"]
    for name in ("complete", "confirmed"):
        left, right = (getattr(study, name)[labels].reset_index(drop=True) for study in (before, after))
        pd.testing.assert_frame_equal(left, right)
    assert {"nonfinite", "blowup", "collapsed"} <= set(before.complete["evidence"])
    assert len(before.confirmed) == 2
    assert before.facts == after.facts
    for format_ in ("markdown", "csv"):
        assert table(url, capsys, format_) == table(again, capsys, format_)


def test_what_is_true_or_false_is_exported_so(url: str, tmp_path: Path) -> None:
    assert call("export", "small", "--store", url, "-o", tmp_path / "x.csv") == 0
    assert call("export", "small", "--store", url, "-o", tmp_path / "x.parquet") == 0
    text = pd.read_csv(tmp_path / "x.csv", keep_default_na=False)
    for column in ("nonfinite", "stopped"):
        assert set(text[column]) == {"True", "False", ""}  # nothing of a trial that waits
        assert pd.read_parquet(tmp_path / "x.parquet")[column].dtype == "boolean"


def test_an_import_says_what_stands_in_for_facts_that_it_does_not_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("optimizer,lr,test_accuracy\nsgd,0.1,0.9\n")
    assert call("import", "csv", path, "--name", "logs", "--store", tmp_path / "s.db") == 0
    said = capsys.readouterr().err
    assert "note: task: chance is not known: an accuracy of 0 stands for it." in said
    assert "note: task: there is no reference score" in said
