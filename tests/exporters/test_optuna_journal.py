"""Studies in Optuna's journal: everything is there when Optuna, and its dashboard, read it."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState as OptunaState

from robustness import cli
from robustness.bench.reading import fill
from robustness.exporters import write_journal
from robustness.store import FailedAttempt, open_store
from robustness.summary import Study, load_study
from robustness.summary.study import epoch_frame, trial_frame
from tests.browser import open_page
from tests.builders import dead_epoch, epoch, record, save, trials
from tests.waiting import PATIENCE, wait_until

SPEC: dict[str, Any] = {
    "title": "Small",
    "task": {"norm": ["none", "batch"]},
    "optimizers": [
        {"name": "sgd", "momentum": [0.0, 0.9]},
        {"name": "adam", "betas": [[0.9, 0.999], [0.5, 0.9]]},
    ],
    "search": {"lr": [0.1, 1e6], "init": ["default"], "seeds": 3},
}
TRIALS = 2 * 4 * 2 * 3


@pytest.fixture(scope="module")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a study of two tasks: two trials fail, one runs, one waits, large learning rates diverge."""
    path = tmp_path_factory.mktemp("store") / "s.db"
    with open_store(f"sqlite:///{path}", create=True) as store:
        held = store.acquire(save(store, **SPEC))
        waiting, running, *rest = trials(**SPEC)
        store.start(held, [running.key])
        store.fail(
            held,
            [FailedAttempt(trial.key, "Traceback ...\nRuntimeError: out of memory") for trial in rest[:2]],
        )
        for trial in rest[2:]:
            if trial.cell.lr == 1e6:
                store.finish(held, [record(trial, epoch(1), dead_epoch(2, loss=math.inf), step=30)])
            else:
                store.finish(held, [record(trial, epoch(1, test_accuracy=0.5), epoch(2))])
        store.release(held)
    return path


@pytest.fixture(scope="module")
def exported(store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("journal") / "studies.log"
    assert call("export", "optuna", path, "--store", f"sqlite:///{store_path}") == 0
    return path


def call(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["robustness", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def loaded(path: Path) -> dict[str, optuna.Study]:
    storage = JournalStorage(JournalFileBackend(str(path)))
    names = optuna.get_all_study_names(storage)
    return {name: optuna.load_study(study_name=name, storage=storage) for name in names}


def own(path: Path) -> tuple[Study, dict[str, dict[str, Any]]]:
    """The study as we read it, and its trials by key."""
    with open_store(f"sqlite:///{path}") as store:
        study = load_study(store, "small")
        rows: list[dict[Any, Any]] = trial_frame(store, study).to_dict("records")
        return study, {row["key"]: row for row in rows}


def test_every_trial_comes_back_with_its_state_value_and_what_happened(
    store_path: Path, exported: Path
) -> None:
    study, rows = own(store_path)
    found = loaded(exported)
    assert set(found) == {f"small: {task}" for task in study.tasks}
    seen = []
    states = {"complete": "COMPLETE", "failed": "FAIL", "waiting": "WAITING", "running": "WAITING"}
    for name, optuna_study in found.items():
        assert optuna_study.direction == optuna.study.StudyDirection.MAXIMIZE
        for trial in optuna_study.trials:
            row = rows[trial.user_attrs["key"]]
            seen.append(row["key"])
            assert name == f"small: {row['task']}"
            assert trial.state.name == states[row["state"]]
            assert trial.user_attrs["state"] == row["state"]
            assert trial.value == (row["score"] if row["state"] == "complete" else None)
            for attribute in ("outcome", "side", "evidence", "skill", "first_nonfinite_step"):
                told = row["state"] == "complete" and row[attribute] == row[attribute]
                assert trial.user_attrs.get(attribute) == (row[attribute] if told else None)
    assert sorted(seen) == sorted(rows)


def test_a_diverged_trial_is_complete_scored_as_chance_and_marked(exported: Path) -> None:
    for study in loaded(exported).values():
        complete = [trial for trial in study.trials if trial.state is OptunaState.COMPLETE]
        diverged = [trial for trial in complete if trial.params["lr"] == 1e6]
        assert len(diverged) >= 9
        for trial in diverged:
            assert trial.user_attrs["outcome"] == "nonfinite"
            assert trial.user_attrs["diverged"] == 1
            assert trial.user_attrs["first_nonfinite_step"] == 30
            assert trial.value == pytest.approx(0.1, abs=0.02)
            assert list(trial.constraints.values()) == [1.0]
            assert list(trial.intermediate_values) == [1]
        assert {trial.user_attrs["diverged"] for trial in complete if trial.params["lr"] == 0.1} == {0}
        assert study.best_trial.user_attrs["diverged"] == 0


def test_a_trial_has_the_axes_and_whatever_varies_as_parameters(exported: Path) -> None:
    study = next(iter(loaded(exported).values()))
    distributions = {name: d for trial in study.trials for name, d in trial.distributions.items()}
    assert distributions.keys() == {"optimizer", "init", "lr", "seed_index", "momentum", "betas"}
    assert distributions["lr"] == FloatDistribution(0.1, 1e6, log=True)
    assert distributions["seed_index"] == IntDistribution(0, 2)
    assert distributions["momentum"] == FloatDistribution(0.0, 0.9)
    assert distributions["betas"] == CategoricalDistribution(["[0.9, 0.999]", "[0.5, 0.9]"])
    assert isinstance(distributions["optimizer"], CategoricalDistribution)
    assert distributions["init"] == CategoricalDistribution(["default"])
    for trial in study.trials:
        adam = "adam" in trial.params["optimizer"]
        assert ("betas" in trial.params, "momentum" in trial.params) == (adam, not adam)


def test_curves_are_those_of_the_store_without_what_is_not_finite(store_path: Path, exported: Path) -> None:
    with open_store(f"sqlite:///{store_path}") as store:
        epochs = epoch_frame(store, "small")
    expected: dict[str, dict[int, float]] = {}
    for row in epochs[epochs["test_accuracy"].notna()].itertuples():
        expected.setdefault(str(row.key), {})[int(row.epoch)] = float(row.test_accuracy)  # type: ignore[arg-type]
    found = {t.user_attrs["key"]: t.intermediate_values for s in loaded(exported).values() for t in s.trials}
    assert {key: curve for key, curve in found.items() if curve} == expected


def test_a_failed_trial_says_why_and_a_finished_one_when(exported: Path) -> None:
    every = [trial for study in loaded(exported).values() for trial in study.trials]
    failed = [trial for trial in every if trial.state is OptunaState.FAIL]
    assert [trial.user_attrs["error"] for trial in failed] == ["RuntimeError: out of memory"] * 2
    complete = [trial for trial in every if trial.state is OptunaState.COMPLETE]
    assert {round(trial.duration.total_seconds(), 3) for trial in complete if trial.duration} == {0.2}


def test_nothing_in_the_file_is_not_a_number(exported: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for line in exported.read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_a_study_says_what_its_score_and_its_marks_mean(exported: Path) -> None:
    study = next(iter(loaded(exported).values()))
    assert study.metric_names == ["score"]
    assert study.user_attrs["title"] == "Small"
    assert study.user_attrs["an infeasible trial"] == "diverged"


def test_the_score_of_a_task_without_accuracy_is_minus_its_loss(tmp_path: Path) -> None:
    logs, store, path = tmp_path / "runs.csv", tmp_path / "s.db", tmp_path / "j.log"
    lines = ["optimizer,lr,seed,epoch,train_loss,test_loss,betas"]
    lines += [
        f"sgd,0.1,{seed},{e},{2 / (e or 1)},{2.5 / (e or 1)},0.9" for seed in range(3) for e in (0, 1, 2)
    ]
    lines += [
        f"sgd,10,{seed},{e},{loss},{loss},0.9" for seed in range(3) for e, loss in ((0, 2.0), (1, "nan"))
    ]
    logs.write_text("\n".join(lines))
    assert call("import", "csv", logs, "--store", f"sqlite:///{store}", "--name", "losses") == 0
    assert call("export", "optuna", path, "--store", f"sqlite:///{store}") == 0
    [study] = loaded(path).values()
    best = study.best_trial
    assert best.value == pytest.approx(-1.25)
    assert best.intermediate_values == {1: -2.5, 2: -1.25}
    assert all(trial.value is not None and math.isfinite(trial.value) for trial in study.trials)
    assert [trial.user_attrs["diverged"] for trial in study.trials].count(1) == 3


def test_only_the_studies_that_are_named_are_exported(store_path: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 's.db'}"
    with open_store(url, create=True) as store:
        for name in ("one", "two", "three"):
            save(store, name=name)
    path = tmp_path / "j.log"
    assert call("export", "optuna", path, "--store", url, "--study", "two", "--study", "one") == 0
    assert [name.split(":")[0] for name in loaded(path)] == ["two", "one"]
    assert {t.state for s in loaded(path).values() for t in s.trials} == {OptunaState.WAITING}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["small", "j.log"], "PATH: goes with optuna alone"),
        (["optuna", "j.log", "-o", "x.csv"], "--output: does not go with optuna"),
        (["optuna", "j.log", "--epochs"], "--epochs: does not go with optuna"),
        (["optuna", "j.log", "--study", "smal"], "did you mean 'small'"),
        (["optuna", "no/such/j.log"], "does not exist"),
        (["optuna"], "--output: is required; or a PATH"),
        (["small"], "--output: is required"),
        (["small", "-o", "x.csv", "--study", "small"], "--study: goes with optuna alone"),
    ],
)
def test_what_does_not_go_together_is_said(
    arguments: list[str],
    words: str,
    store_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("export", *arguments, "--store", f"sqlite:///{store_path}") == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_that_exists_is_left_as_it_is(
    store_path: Path, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = exported.read_bytes()
    assert call("export", "optuna", exported, "--store", f"sqlite:///{store_path}") == 2
    assert "exists, and a journal is only ever appended to" in capsys.readouterr().err
    assert exported.read_bytes() == before


def answers(server: subprocess.Popen[bytes], address: str) -> bool:
    assert server.poll() is None
    try:
        urllib.request.urlopen(address, timeout=PATIENCE).close()
    except OSError:
        return False
    return True


@contextmanager
def dashboard(journal: Path) -> Iterator[str]:
    """optuna-dashboard on the journal; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = str(Path(sys.executable).parent / "optuna-dashboard")
    command = [program, str(journal), "--host", "127.0.0.1", "--port", str(port), "--server", "wsgiref"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}/dashboard"
    try:
        wait_until(lambda: answers(server, address), "an answer of optuna-dashboard")
        yield address
    finally:
        server.kill()
        server.wait()


@pytest.mark.browser
@pytest.mark.slow
def test_the_dashboard_opens_five_thousand_trials_and_shows_which_diverged(tmp_path: Path) -> None:
    path = tmp_path / "large.log"
    assert fill(tmp_path / "s.db", 5_000) == 5_000
    done: list[int] = []
    began = time.process_time()
    with open_store(f"sqlite:///{tmp_path / 's.db'}") as store:
        counts = write_journal(store, path, ["large"], done.append)
    assert time.process_time() - began < 10
    assert sum(counts.values()) == sum(done) == 5_000
    with dashboard(path) as address, open_page() as page:
        page.goto(address)
        page.get_by_text("large: task 0").first.click()
        page.get_by_text("Hyperparameter Importance").wait_for()
        page.get_by_text("Infeasible", exact=True).first.wait_for()  # of the timeline: what diverged is grey
        page.get_by_text("diverged", exact=True).first.wait_for()
        page.goto(f"{address}/studies/0/trials?numbers=24")
        page.get_by_text("1250 Trials").wait_for()
        for words in ("outcome nonfinite", "side diverged", "diverged 1", "first_nonfinite_step 50"):
            page.get_by_text(words, exact=False).first.wait_for()
