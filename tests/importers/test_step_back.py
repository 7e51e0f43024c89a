"""step-back's logs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from robustness.errors import SpecError
from robustness.importers import surveyed
from tests.importers.logs import DATA, NAN, configs, epochs, imported


def run(*losses: float, config: dict[str, Any] | None = None, **opt: Any) -> dict[str, Any]:
    """A run on CIFAR-10 whose held-out accuracy is 0.1 more after each epoch."""
    return {
        "config": {
            "batch_size": 128,
            "dataset": "cifar10",
            "dataset_kwargs": {},
            "loss_func": "cross_entropy",
            "max_epoch": len(losses),
            "model": "resnet20",
            "model_kwargs": {"batch_norm": True},
            "opt": {"lr": 0.1, "lr_schedule": "constant", "name": "momo", "weight_decay": 0, **opt},
            "run_id": 0,
            "score_func": "cross_entropy_accuracy",
            **(config or {}),
        },
        "history": [
            {
                "epoch": i,
                "grad_norm": 1.0,
                "learning_rate": 0.1,
                "model_norm": 5.0 + i,
                "train_epoch_time": 2.5,
                "train_loss": loss,
                "train_score": 0.2,
                "val_loss": loss,
                "val_score": 0.1 * (i + 1),
            }
            for i, loss in enumerate(losses)
        ],
        "summary": {"num_workers": 0},
    }


def write(folder: Path, *runs: dict[str, Any], name: str = "cifar10.json") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(list(runs)))
    return folder


def test_a_published_log_becomes_a_study(tmp_path: Path) -> None:
    study = imported(tmp_path, "step-back", DATA / "step-back")
    [trial] = study.trials.to_dict("records")
    assert (trial["task"], trial["optimizer"], trial["lr"]) == ("shakespeare-llama", "adam", 0.001)
    assert trial["test_accuracy"] == 0.4437095905172414
    assert trial["parameter_norm"] == 67.5
    assert math.isnan(trial["validation_accuracy"])
    assert math.isnan(trial["l0"])
    assert study.tasks["shakespeare-llama"].budget == "3 epochs, batch 16"
    assert study.facts["shakespeare-llama"].selection == "test"
    rest = configs(tmp_path)[0]["rest"]
    assert rest["summary"]["num_batches_per_epoch"] == 108
    assert len(rest["history"]["grad_norm"]) == 3


def test_the_facts_of_balanced_images_are_known(tmp_path: Path) -> None:
    study = imported(tmp_path, "step-back", write(tmp_path / "in", run(2.0, 1.5, 1.0)))
    facts = study.facts["cifar10-resnet20"]
    assert (facts.chance, facts.constant_loss, facts.test_size) == (0.1, math.log(10), 10_000)


def test_a_run_that_goes_on_after_nan_ends_where_it_died(tmp_path: Path) -> None:
    study = imported(tmp_path, "step-back", write(tmp_path / "in", run(2.0, NAN, NAN, NAN)))
    [trial] = study.complete.to_dict("records")
    assert (trial["outcome"], trial["epochs"]) == ("nonfinite", 2)
    assert math.isnan(trial["test_accuracy"])


@pytest.mark.parametrize("key", ["val_loss", "model_norm"])
def test_a_held_out_loss_or_a_norm_that_is_not_finite_counts(tmp_path: Path, key: str) -> None:
    plain = run(2.0, 1.9)
    plain["history"][0][key] = NAN
    study = imported(tmp_path, "step-back", write(tmp_path / "in", plain))
    assert study.complete["outcome"].tolist() == ["nonfinite"]


def test_logs_of_steps_tell_the_start_the_peak_and_the_step_of_death(tmp_path: Path) -> None:
    plain = run(2.0, NAN)
    plain["history"][0]["step_logs"] = {"loss": {"0": 2.31, "1": 4.0}, "lr": {"0": 0.1, "1": 0.1}}
    plain["history"][1]["step_logs"] = {"loss": {"2": 50.0, "3": NAN}}
    study = imported(tmp_path, "step-back", write(tmp_path / "in", plain))
    [trial] = study.complete.to_dict("records")
    assert (trial["l0"], trial["first_nonfinite_step"]) == (2.31, 4)
    assert [row.train_loss_max for row in epochs(tmp_path)] == [4.0, math.inf]
    assert "l0: the loss of the first batch, before the first step" in study.source["notes"]
    assert "step_logs" not in configs(tmp_path)[0]["rest"]["history"]


def test_fields_that_vary_tell_optimizers_apart_and_run_ids_are_seeds(tmp_path: Path) -> None:
    runs = [run(2.0, weight_decay=decay, config={"run_id": seed}) for decay in (0, 1e-4) for seed in (0, 1)]
    write(tmp_path / "in", *runs)
    write(tmp_path / "in", run(2.0, name="adam"), name="more.json")
    study = imported(tmp_path, "step-back", tmp_path / "in")
    assert study.trials.groupby("optimizer")["seed_index"].apply(list).to_dict() == {
        "adam": [0],
        "momo weight_decay=0": [0, 1],
        "momo weight_decay=0.0001": [0, 1],
    }


def test_models_that_differ_are_tasks_of_their_own_and_keep_their_facts(tmp_path: Path) -> None:
    runs = [run(2.0, config={"model_kwargs": {"batch_norm": norm}}) for norm in (True, False)]
    study = imported(tmp_path, "step-back", write(tmp_path / "in", *runs))
    assert study.trials["optimizer"].tolist() == ["momo", "momo"]
    assert list(study.facts) == [
        f'cifar10-resnet20 model_kwargs={{"batch_norm": {norm}}}' for norm in ("true", "false")
    ]
    assert {facts.chance for facts in study.facts.values()} == {0.1}


def test_a_task_without_accuracy_is_judged_by_its_loss(tmp_path: Path) -> None:
    linear = {"dataset": "synthetic", "model": "linear", "loss_func": "squared", "score_func": "squared"}
    study = imported(tmp_path, "step-back", write(tmp_path / "in", run(9.0, 0.5, config=linear)))
    assert study.facts["synthetic-linear"].score == "loss"
    assert study.trials["test_accuracy"].isna().all()


def test_validation_and_test_sets_are_kept_apart_where_there_are_both(tmp_path: Path) -> None:
    plain = run(2.0)
    plain["history"][0] |= {"test_loss": 1.9, "test_score": 0.4}
    [trial] = imported(tmp_path, "step-back", write(tmp_path / "in", plain)).trials.to_dict("records")
    assert (trial["validation_accuracy"], trial["test_accuracy"], trial["test_loss"]) == (0.1, 0.4, 1.9)


def broken(**changes: Any) -> dict[str, Any]:
    plain = run(2.0)
    plain["history"][0] |= changes
    return plain


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (run(2.0, lr="1"), "config.opt.lr must be a number"),
        (run(2.0, lr=None), "config.opt.lr is missing"),
        (run(2.0, name=3), "config.opt.name must be a text"),
        (run(2.0, config={"opt": "adam"}), "config.opt must be an object"),
        (run(2.0, config={"score_func": None}), "config.score_func must be a name"),
        (run(2.0, config={"dataset": "a\x00b"}), "config.dataset must be one line"),
        (run(), "history is empty"),
        ({"config": {}}, "it has no 'history'"),
        (broken(val_score=93.0), "must be a share"),
        (broken(epoch=5), "epoch must be 0, got 5"),
        (broken(step_logs={"loss": {"x": 1.0}}), "'x' is no number of a step"),
        (broken(step_logs=[]), "step_logs must be an object"),
    ],
)
def test_a_bad_run_is_refused_with_its_number(tmp_path: Path, bad: dict[str, Any], message: str) -> None:
    write(tmp_path, run(2.0), bad)
    with pytest.raises(SpecError, match=f"cifar10.json, run 2: .*{message}"):
        surveyed("step-back", tmp_path, name="bad")


def test_scores_of_two_kinds_in_one_task_are_refused(tmp_path: Path) -> None:
    write(tmp_path, run(2.0), run(2.0, config={"score_func": "squared"}))
    with pytest.raises(SpecError, match="cifar10-resnet20: has runs with an accuracy and runs with a loss"):
        surveyed("step-back", tmp_path, name="bad")


def test_an_object_instead_of_a_list_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"holds no \.json file"):
        surveyed("step-back", tmp_path, name="bad")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(SpecError, match="a step-back log must be a list, got an object"):
        surveyed("step-back", tmp_path, name="bad")
