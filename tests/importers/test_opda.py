"""opda's random searches on ImageNet."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from robustness.errors import SpecError
from robustness.importers import surveyed
from robustness.store import open_store
from robustness.summary import load_study
from tests.importers.logs import DATA, NAN, configs, epochs, imported
from tests.test_cli import call


def line(**changes: Any) -> str:
    plain = {
        "iteration": 1,
        "nan_train_loss": False,
        "epochs": 2,
        "batch_size": 512,
        "lr": 0.1,
        "momentum": 0.9,
        "learning_curve": [
            {"time": 300.0, "epoch": 0, "top_1": 0.01, "top_5": 0.05, "train_loss": 6.5},
            {"time": 500.0, "epoch": 1, "top_1": 0.3, "top_5": 0.5, "train_loss": 3.5},
        ],
    }
    return json.dumps(plain | changes) + "\n"


def test_published_runs_become_a_classified_study(tmp_path: Path) -> None:
    study = imported(tmp_path, "opda", DATA / "opda")
    assert study.complete["outcome"].value_counts().to_dict() == {
        "nonfinite": 5,
        "trained": 4,
        "untrained": 2,
        "blowup": 1,
    }
    assert study.facts["imagenet-alexnet"].assumed == ()
    assert study.optimizers == {"sgd-momentum": {"name": "sgd-momentum"}}
    assert {"batch_size", "momentum", "weight_decay"} <= set(study.settings.columns)
    assert study.trials["seed_index"].tolist() == [config["seed"] for config in configs(tmp_path)]


def test_a_flagged_run_dies_in_the_epoch_after_its_curve(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    file.write_text(
        line(nan_train_loss=True) + line(iteration=2, nan_train_loss=True, learning_curve=[]) + "\n"
    )
    study = imported(tmp_path, "opda", file)
    first, second = study.trials.to_dict("records")
    assert [row.epoch for row in epochs(tmp_path)] == [1, 2, 3]
    assert [row.epoch for row in epochs(tmp_path, 1)] == [1]
    assert math.isnan(first["train_loss"])
    assert math.isnan(second["first_nonfinite_step"])
    assert first["max_earlier_score"] == 0.3


def test_time_is_each_epochs_own_and_the_rest_is_kept(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text(line(host="=cmd|x", odd=NAN))
    study = imported(tmp_path, "opda", tmp_path)
    [trial] = study.trials.to_dict("records")
    assert [row.seconds for row in epochs(tmp_path)] == [300.0, 200.0]
    rest = {"host": "=cmd|x", "odd": "nan", "learning_curve top_5": [0.05, 0.5]}
    assert configs(tmp_path)[0]["rest"] == rest


@pytest.mark.parametrize(
    ("file", "task", "reference"),
    [
        ("alexnet_tuning.results.jsonl", "imagenet-alexnet", 0.565),
        ("convnext-tiny_tuning.results.jsonl", "imagenet-convnext-tiny", 0.825),
        ("resnet18_ablation.results.jsonl", "imagenet-resnet18", 0.698),
    ],
)
def test_a_published_file_names_its_model(tmp_path: Path, file: str, task: str, reference: float) -> None:
    (tmp_path / file).write_text(line())
    study = imported(tmp_path, "opda", tmp_path / file)
    assert study.trials["task"].unique().tolist() == [task]
    assert (study.facts[task].reference, study.facts[task].assumed) == (reference, ())


def test_the_reference_of_a_file_of_another_name_is_not_known_and_said(tmp_path: Path) -> None:
    (tmp_path / "my-search.jsonl").write_text(line())
    study = imported(tmp_path, "opda", tmp_path)
    facts = study.facts["imagenet"]
    assert facts.assumed == (
        "there is no reference score: skill is measured against this study's own best median",
    )
    assert facts.reference == 0.3  # of this file, not AlexNet's 0.565
    assert (facts.chance, facts.constant_loss) == (0.001, math.log(1000))
    assert study.source["notes"][-1] == (
        "my-search.jsonl: the name is not one of opda's files, so the model and its reference are not known; "
        "--model names it (alexnet, convnext-tiny, resnet18)"
    )


def test_a_model_that_is_asked_for_goes_before_the_files_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = f"sqlite:///{tmp_path / 's.db'}"
    (tmp_path / "alexnet_tuning.results.jsonl").write_text(line())
    arguments = ("import", "opda", tmp_path / "alexnet_tuning.results.jsonl", "--name", "x", "--store", store)
    assert call(*arguments, "--model", "resnet18") == 0
    assert "is not one of opda's files" not in capsys.readouterr().err
    with open_store(store) as opened:
        assert list(load_study(opened, "x").facts) == ["imagenet-resnet18"]


@pytest.mark.parametrize(
    ("format_", "model", "message"),
    [
        (
            "opda",
            "resnet",
            "--model: no model 'resnet'; did you mean 'resnet18'? (known: alexnet, convnext-tiny",
        ),
        ("csv", "alexnet", "--model: csv names the task of each run itself; only opda takes a model"),
    ],
)
def test_a_model_that_cannot_be_is_refused_before_a_file_is_read(
    tmp_path: Path, format_: str, model: str, message: str
) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        surveyed(format_, tmp_path / "nowhere", name="x", model=model)


def test_whether_pooling_blurs_is_a_setting_of_the_search(tmp_path: Path) -> None:
    (tmp_path / "resnet18_tuning.results.jsonl").write_text(
        line(use_blurpool=0) + line(use_blurpool=1, iteration=2)
    )
    study = imported(tmp_path, "opda", tmp_path)
    assert study.settings["use_blurpool"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (line(lr="0.1"), "lr must be a number"),
        (line(lr=NAN), "lr must be finite and > 0"),
        (line(nan_train_loss="yes"), "nan_train_loss must be true or false"),
        (line(learning_curve=[]), "learning_curve is empty"),
        (line(learning_curve={}), "learning_curve must be a list, got an object"),
        (line(learning_curve=[3]), r"learning_curve\[0\] must be an object, got 3"),
        (line(learning_curve=[{"top_1": 0.1}]), "has no top_1 or no train_loss"),
        (line(learning_curve=[{"top_1": 30, "train_loss": 1}]), "must be a share"),
        (line(learning_curve=[{"top_1": 0.3, "train_loss": 1, "epoch": 4}]), "epoch must be 0, got 4"),
        ("[1]\n", "a run must be an object, got a list"),
        ('{"iteration": 3}\n', "is no run of opda: it has no 'lr'"),
        ('{"iteration": 3, "lr": 0.1}\n', "is no run of opda: it has no 'momentum'"),
        ("nonsense\n", "is not valid JSON"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(tmp_path: Path, bad: str, message: str) -> None:
    (tmp_path / "results.jsonl").write_text(line() + bad)
    with pytest.raises(SpecError, match=f"results.jsonl, line 2: .*{message}"):
        surveyed("opda", tmp_path, name="bad")


def test_a_folder_must_hold_one_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="it holds none"):
        surveyed("opda", tmp_path, name="bad")
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text(line())
    with pytest.raises(SpecError, match="it holds 2"):
        surveyed("opda", tmp_path, name="bad")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n")
    with pytest.raises(SpecError, match="holds no run"):
        surveyed("opda", tmp_path, name="bad")
