"""DeepOBS's logs, real ones and ones like those of the problems that are not here."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from robustness.errors import SpecError
from robustness.importers import surveyed
from tests.importers.logs import DATA, NAN, configs, deepobs, epochs, imported


def test_published_logs_become_a_classified_study(tmp_path: Path) -> None:
    study = imported(tmp_path, "deepobs", DATA / "deepobs")
    found = study.complete.sort_values(["lr", "seed_index"])
    assert found["outcome"].tolist() == ["trained"] * 4 + ["blowup"]
    assert found["optimizer"].unique().tolist() == ["Adam"]
    assert found["seed_index"].tolist() == [42, 42, 43, 44, 42]
    assert not found["nonfinite"].any()
    assert study.optimizers["Adam"] == {"name": "Adam", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-08}
    assert study.tasks["fmnist_2c2d"].budget == "5 epochs, batch 128"
    facts = study.facts["fmnist_2c2d"]
    assert (facts.test_size, facts.chance, facts.assumed) == (9_984, 0.1, ())
    assert facts.selection == "test"
    assert study.source["files"] == 5


def test_learning_rates_that_differ_by_rounding_are_one(tmp_path: Path) -> None:
    study = imported(tmp_path, "deepobs", DATA / "deepobs")
    rates = sorted(study.trials["lr"].unique())
    assert rates == [1e-5, 0.00025118864315, 10.0]
    raw = {config["lr"] for config in configs(tmp_path)}
    assert {0.00025118864315, 0.0002511886431509582} <= raw


def test_the_first_figure_is_from_before_training(tmp_path: Path) -> None:
    deepobs(tmp_path / "in", train=[2.3, 1.0, 0.5], accuracies=[0.1, 0.6, 0.9])
    study = imported(tmp_path, "deepobs", tmp_path / "in")
    [trial] = study.trials.to_dict("records")
    assert trial["l0"] == 2.3
    assert [row.epoch for row in epochs(tmp_path)] == [1, 2]
    assert trial["max_earlier_score"] == 0.6
    assert math.isnan(trial["validation_accuracy"])


def test_a_run_that_went_on_after_nan_ends_with_the_epoch_in_which_it_died(tmp_path: Path) -> None:
    steps = [2.3, 7e8, NAN, NAN, NAN, NAN]
    deepobs(tmp_path / "in", train=[2.3, NAN, NAN, NAN], accuracies=[0.1] * 4, steps=steps)
    study = imported(tmp_path, "deepobs", tmp_path / "in")
    [trial] = study.complete.to_dict("records")
    assert trial["outcome"] == "nonfinite"
    assert trial["first_nonfinite_step"] == 3
    [row] = epochs(tmp_path)
    assert row.epoch == 1
    assert math.isnan(row.train_loss)
    assert math.isnan(row.test_accuracy)  # the share of whichever class comes first


def test_the_step_is_not_told_where_only_every_tenth_was_logged(tmp_path: Path) -> None:
    deepobs(tmp_path / "in", train=[2.3, NAN], accuracies=[0.1, 0.1], steps=[2.3, NAN], train_log_interval=10)
    [trial] = imported(tmp_path, "deepobs", tmp_path / "in").complete.to_dict("records")
    assert trial["nonfinite"] == 1
    assert math.isnan(trial["first_nonfinite_step"])


def test_steps_give_each_epoch_its_peak(tmp_path: Path) -> None:
    deepobs(tmp_path / "in", train=[2.3, 1.0, 0.5], accuracies=[0.1, 0.6, 0.9], steps=[2.3, 9.0, 1.0, 0.4])
    [trial] = imported(tmp_path, "deepobs", tmp_path / "in").trials.to_dict("records")
    assert [row.train_loss_max for row in epochs(tmp_path)] == [9.0, 1.0]


def test_a_run_that_came_back_from_an_infinite_loss_keeps_its_epochs(tmp_path: Path) -> None:
    deepobs(tmp_path / "in", train=[2.3, math.inf, 1.0], accuracies=[0.1, 0.1, 0.7])
    [trial] = imported(tmp_path, "deepobs", tmp_path / "in").complete.to_dict("records")
    assert (trial["outcome"], trial["epochs"], trial["test_accuracy"]) == ("nonfinite", 2, 0.7)


def test_the_padding_of_an_aborted_run_is_not_taken_for_training(tmp_path: Path) -> None:
    """DeepOBS 1.2 fills the lists of a run that it ended with the figures from before training."""
    deepobs(
        tmp_path / "in",
        train=[2.3, 1.9, 2.3, 2.3, 2.3],
        accuracies=[0.11, 0.3, 0.11, 0.11, 0.11],
        optimizer=...,
        learning_rate=...,
        hyperparams=...,
        optimizer_name="SGD",
        optimizer_hyperparams={"lr": 10.0, "momentum": 0.9},
        valid_losses=[2.4, 2.0, 2.4, 2.4, 2.4],
        valid_accuracies=[0.12, 0.31, 0.12, 0.12, 0.12],
    )
    study = imported(tmp_path, "deepobs", tmp_path / "in")
    [trial] = study.complete.to_dict("records")
    assert (trial["outcome"], trial["lr"], trial["epochs"]) == ("nonfinite", 10.0, 2)
    assert math.isnan(trial["first_nonfinite_step"])
    assert epochs(tmp_path)[0].validation_accuracy == 0.31
    assert study.optimizers == {"SGD": {"name": "SGD", "momentum": 0.9}}


def test_a_shorter_list_after_a_nan_step_ends_in_the_epoch_that_was_not_finished(tmp_path: Path) -> None:
    deepobs(tmp_path / "in", train=[2.3, 1.9], accuracies=[0.1, 0.3], steps=[2.3, 1.9, NAN], num_epochs=4)
    study = imported(tmp_path, "deepobs", tmp_path / "in")
    [trial] = study.complete.to_dict("records")
    assert (trial["outcome"], trial["epochs"]) == ("nonfinite", 2)
    assert study.source["notes"] == ["1 runs have fewer epochs than they were to have"]


@pytest.mark.parametrize(
    ("problem", "losses", "expected"),
    [
        ("quadratic_deep", [352.0, 100.0, 87.1], "trained"),
        ("quadratic_deep", [352.0, 900.0, 4e5], "blowup"),
        ("mnist_vae", [181.0, 40.0, 27.8], "trained"),
        ("mnist_vae", [181.0, 54.0, 52.7], "untrained"),
        ("fmnist_vae", [230.0, 30.0, 23.1], "trained"),
        ("fmnist_vae", [230.0, 69.0, 68.2], "untrained"),
        ("mnist_vae", [181.0, NAN, NAN], "nonfinite"),
    ],
)
@pytest.mark.parametrize("zeros", [False, True])
def test_problems_without_accuracy_are_judged_by_their_loss(
    tmp_path: Path, problem: str, losses: list[float], expected: str, zeros: bool
) -> None:
    accuracies = [0.0] * len(losses) if zeros else None  # some versions write zeros
    deepobs(tmp_path / "in", train=losses, accuracies=accuracies, problem=problem)
    study = imported(tmp_path, "deepobs", tmp_path / "in")
    assert study.facts[problem].score == "loss"
    assert study.complete["outcome"].tolist() == [expected]


@pytest.mark.parametrize(
    ("problem", "chance", "size", "batch"),
    [
        ("cifar10_3c3d", 0.1, 9_984, 128),
        ("cifar100_allcnnc", 0.01, 9_984, 256),
        ("svhn_wrn164", 5099 / 26_032, 25_984, 128),
        ("tolstoi_char_rnn", 0.1558, None, 50),
    ],
)
def test_the_facts_of_the_other_problems_are_known(
    tmp_path: Path, problem: str, chance: float, size: int | None, batch: int
) -> None:
    deepobs(
        tmp_path / "in",
        train=[5.0, 3.0],
        accuracies=[chance, chance],
        problem=problem,
        batch_size=batch,
    )
    study = imported(tmp_path, "deepobs", tmp_path / "in")
    facts = study.facts[problem]
    assert (facts.chance, facts.test_size, facts.assumed) == (chance, size, ())
    assert study.complete["outcome"].tolist() == ["untrained"]


def test_an_unknown_problem_has_no_facts_and_says_what_stands_in(tmp_path: Path) -> None:
    deepobs(tmp_path / "in", train=[2.3, 0.3], accuracies=[0.1, 0.9], problem="my_problem")
    deepobs(tmp_path / "in", train=[2.3, 0.3], problem="my_loss")
    study = imported(tmp_path, "deepobs", tmp_path / "in")
    assert study.facts["my_problem"].score == "accuracy"
    assert study.facts["my_loss"].score == "loss"
    assert len(study.facts["my_problem"].assumed) == 3


def test_hyperparameters_that_vary_in_a_task_tell_optimizers_apart(tmp_path: Path) -> None:
    curve: dict[str, Any] = {
        "train": [2.3, 0.3],
        "accuracies": [0.1, 0.9],
        "optimizer": "MomentumOptimizer",
    }
    for momentum in (0.9, 0.99):
        hyperparams = {"momentum": momentum, "use_nesterov": False}
        deepobs(tmp_path / "in", **curve, hyperparams=hyperparams, file=f"random_seed__42__{momentum}.json")
    study = imported(tmp_path, "deepobs", tmp_path / "in")
    assert study.trials["optimizer"].tolist() == ["Momentum momentum=0.9", "Momentum momentum=0.99"]
    assert study.source["notes"] == ["Momentum: runs that differ in momentum are optimizers of their own"]


def test_an_optimizer_has_one_label_over_problems_of_different_budgets(tmp_path: Path) -> None:
    """DeepOBS's baselines train each problem with a batch size and a number of epochs of its own."""
    for problem, batch, epochs_ in (
        ("fmnist_2c2d", 128, 2),
        ("mnist_vae", 64, 1),
        ("cifar100_allcnnc", 256, 3),
    ):
        losses = [2.3] + [0.3] * epochs_
        deepobs(tmp_path / "in", train=losses, problem=problem, batch_size=batch)
    study = imported(tmp_path, "deepobs", tmp_path / "in")
    assert set(study.trials["optimizer"]) == {"SGD"}
    assert {label: task.budget for label, task in study.tasks.items()} == {
        "cifar100_allcnnc": "3 epochs, batch 256",
        "fmnist_2c2d": "2 epochs, batch 128",
        "mnist_vae": "1 epoch, batch 64",
    }


def test_runs_of_another_budget_are_another_task_with_the_same_facts(tmp_path: Path) -> None:
    curve: dict[str, Any] = {"train": [2.3, 0.3], "accuracies": [0.1, 0.9]}
    for batch in (64, 48):
        deepobs(tmp_path / "in", **curve, batch_size=batch, file=f"random_seed__42__{batch}.json")
    study = imported(tmp_path, "deepobs", tmp_path / "in")
    assert set(study.trials["optimizer"]) == {"SGD"}
    assert study.trials["seed_index"].tolist() == [42, 42]
    for batch, size in ((64, 9_984), (48, 9_984)):
        label = f"fmnist_2c2d batch_size={batch}"
        assert study.tasks[label].budget == f"1 epoch, batch {batch}"
        assert (study.facts[label].reference, study.facts[label].test_size) == (0.92, size)
    assert study.source["notes"] == ["fmnist_2c2d: runs that differ in batch_size are tasks of their own"]


def test_a_seed_that_comes_twice_is_numbered_on_and_said(tmp_path: Path) -> None:
    for date in ("a", "b"):
        deepobs(
            tmp_path / "in",
            train=[2.3, 0.3],
            accuracies=[0.1, 0.9],
            file=f"random_seed__42__{date}.json",
        )
    study = imported(tmp_path, "deepobs", tmp_path / "in")
    assert study.trials["seed_index"].tolist() == [42, 43]
    assert study.source["notes"] == ["1 runs repeat the seed of an earlier run of their cell: numbered on"]


def test_a_single_problem_and_a_single_file_can_be_imported(tmp_path: Path) -> None:
    file = deepobs(
        tmp_path / "in", train=[2.3, 0.3], accuracies=[0.1, 0.9], machine="x", notes=[NAN, {"a": 1}]
    )
    (tmp_path / "in" / "package.json").write_text("{}")
    for path in (tmp_path / "in" / "fmnist_2c2d", file):
        assert len(imported(tmp_path, "deepobs", path).trials) == 1
    assert configs(tmp_path)[0]["rest"] == {
        "train_log_interval": 1,
        "machine": "x",
        "notes": ["nan", {"a": 1}],
    }
    assert "1 other .json files" in surveyed("deepobs", tmp_path / "in", name="x").source["notes"][0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": NAN}, "learning_rate must be finite and > 0, got nan"),
        ({"lr": -0.1}, "learning_rate must be finite and > 0, got -0.1"),
        ({"lr": 0}, "learning_rate must be finite and > 0, got 0"),
        ({"lr": "0.1"}, "learning_rate must be a number, got '0.1'"),
        ({"learning_rate": True}, "learning_rate must be a number, got True"),
        ({"learning_rate": 10**400}, "learning_rate is beyond what a float64 holds"),
        ({"learning_rate": None}, "learning_rate is missing"),
        ({"testproblem": "a\u202eb"}, "testproblem must be one line without control"),
        ({"testproblem": "x" * 300}, "testproblem must be a text of 1 to 200 characters"),
        ({"testproblem": ["x"]}, "testproblem must be a text"),
        ({"optimizer": "Sgd\n"}, "optimizer must be"),
        ({"optimizer": ...}, "it has no 'optimizer'"),
        ({"train_losses": ...}, "it has no 'train_losses'"),
        ({"train_losses": {"a": 1}}, "train_losses must be a list, got an object"),
        ({"train_losses": [2.3, "x"]}, r"train_losses\[1\] must be a number, got 'x'"),
        ({"train_losses": [2.3]}, "a figure from before training and one an epoch, got 1"),
        ({"test_losses": [1.0, 2.0, 3.0]}, "test_losses has 3 figures, train_losses 2"),
        ({"num_epochs": 1.5}, "num_epochs must be a whole number"),
        ({"train_losses": [1.0] * 5, "test_losses": [1.0] * 5}, "num_epochs is 1"),
        ({"accuracies": [10.0, 90.0]}, r"must be a share in \[0, 1\] \(percent / 100\), got 10"),
        ({"random_seed": -1}, "random_seed must be a whole number"),
        ({"batch_size": [1]}, "batch_size must be a whole number"),
        ({"hyperparams": []}, "hyperparams must be an object, got a list"),
    ],
)
def test_a_bad_log_is_refused_with_its_file_and_the_rule(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    deepobs(tmp_path, **{"train": [2.3, 0.3], "file": "random_seed__1__bad.json", **changes})  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=message) as error:
        surveyed("deepobs", tmp_path, name="bad")
    assert "random_seed__1__bad.json" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "a DeepOBS log must be an object, got a list"),
        ("", "is not valid JSON"),
        ('{"learning_rate": 1e999}', "the number 1e999 is beyond what a float64 holds"),
        ("[" * 200_000, "is nested too deeply"),
        ("\udcff", "is not valid JSON"),
    ],
)
def test_a_file_that_is_no_log_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "random_seed__1__x.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(SpecError, match=message):
        surveyed("deepobs", tmp_path, name="bad")


def test_a_folder_without_logs_is_refused_with_the_layout(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="testproblem/Optimizer/setting/random_seed__SEED__DATE.json"):
        surveyed("deepobs", tmp_path, name="bad")
