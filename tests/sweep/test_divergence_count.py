"""What a running sweep says of divergences is what the read side says of the same trials."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from robustness.errors import StoreError
from robustness.store import Store, open_store
from robustness.summary import load_study
from robustness.sweep.divergence_count import DivergenceCount
from robustness.sweep.progress import SweepProgress
from tests.builders import epoch, record, save, trials
from tests.sweep.test_run import PROGRAM, write


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 's.db'}", create=True) as opened:
        yield opened


def finish(store: Store, study_id: int, lrs: dict[float, bool]) -> None:
    """Complete the trials at these learning rates, trained or at chance with a loss that stayed."""
    chance = {"train_loss": 2.3, "test_accuracy": 0.1, "validation_accuracy": 0.1}
    held = store.acquire(study_id)
    store.finish(
        held,
        [
            record(trial, *([] if lrs[trial.cell.lr] else [epoch(1, **chance), epoch(2, **chance)]))
            for trial in trials()
            if trial.cell.lr in lrs
        ],
    )
    store.release(held)


def test_a_label_that_rests_on_a_later_trial_is_counted_once_that_trial_is_complete(store: Store) -> None:
    study_id = save(store)
    count = DivergenceCount(store, "small")
    finish(store, study_id, {1.0: False})
    assert count.text(final=True) == "0 of 2 complete diverged"
    finish(store, study_id, {0.1: True})
    assert count.text(final=True) == "2 of 4 complete diverged"
    assert load_study(store, "small").complete["side"].tolist().count("diverged") == 2


def test_counting_takes_a_fiftieth_of_the_time_at_most(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    save(store)
    now, counted = [0.0], []
    count = DivergenceCount(store, "small", clock=lambda: now[0])

    def slow() -> str:
        now[0] += 1.0
        counted.append(now[0])
        return f"count {len(counted)}"

    monkeypatch.setattr(count, "_counted", slow)
    texts = []
    for now[0] in (0.0, 10.0, 50.9, 51.1, 60.0):
        texts.append(count.text())
    assert texts == ["count 1", "count 1", "count 1", "count 2", "count 2"]
    assert count.text(final=True) == "count 3"


def test_where_the_store_cannot_be_read_the_last_count_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(store)
    count = DivergenceCount(store, "small")
    before = count.text(final=True)

    def fail() -> str:
        raise StoreError("gone")

    monkeypatch.setattr(count, "_counted", fail)
    assert count.text(final=True) == before == "0 of 0 complete diverged"


def test_progress_ends_with_a_count_of_all_trials_and_repeats_an_older_one_where_it_is_interrupted(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    study_id = save(store)
    finish(store, study_id, {0.1: True})
    progress = SweepProgress(4, reused=0, divergences=DivergenceCount(store, "small"))
    progress.count(done=2)
    progress.stop()
    assert "0 of 2 complete diverged" in capsys.readouterr().err
    finish(store, study_id, {1.0: False})
    progress.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert "0 of 2 complete diverged" in capsys.readouterr().err
    with progress:
        progress.count(done=2)
    assert "4/4 done, 0 running, 2 of 4 complete diverged" in capsys.readouterr().err


@pytest.mark.cluster
def test_a_real_run_ends_with_the_count_that_the_read_side_makes(tmp_path: Path) -> None:
    search = {"lr": [1.0, 10.0], "init": ["default"], "seeds": 3}
    path = write(tmp_path, search=search, optimizers=[{"name": "sgd"}])
    store = tmp_path / "s.db"
    done = subprocess.run(
        [PROGRAM, "run", str(path), "--store", str(store)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with open_store(f"sqlite:///{store}") as opened:
        complete = load_study(opened, "small").complete
    diverged = int((complete["side"] == "diverged").sum())
    assert diverged > complete["outcome"].isin(["nonfinite", "blowup"]).sum()  # what it counted before
    last = re.findall(r"([\d,]+) of ([\d,]+) complete diverged", done.stderr)[-1]
    assert last == (str(diverged), "6")
