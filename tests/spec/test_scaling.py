"""Scales: the same file in a minute, in an hour, or as it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustness.catalog import DATASETS
from robustness.errors import SpecError
from robustness.spec import SCALES, StudySpec, expand, parse, scaled
from tests.builders import spec

BIG = {
    "tasks": [
        {"data": "cifar10", "model": "resnet20", "norm": "batch", "epochs": 200, "batch_size": 128},
        {"data": "digits", "model": "mlp", "epochs": 2},
    ],
    "optimizers": [
        {
            "name": "sgd",
            "momentum": 0.9,
            "schedule": "step",
            "milestones": [80.0, 120.0, 160.0],
            "warmup_epochs": [0.0, 5.0],
        },
        {"name": "adam", "lr": {"low": 1e-5, "high": 1.0, "points": 21}},
    ],
    "search": {
        "lr": [10.0**k for k in range(-9, 9)],
        "init": ["default", "kaiming-normal", "kaiming-uniform", "xavier-normal", "xavier-uniform"],
        "seeds": 10,
    },
}


def at(name: str) -> StudySpec:
    return scaled(parse(spec(**BIG)), name)


def test_the_full_scale_is_the_study_itself() -> None:
    assert at("full") == parse(spec(**BIG))


def test_a_scale_bounds_data_epochs_seeds_learning_rates_and_initializations() -> None:
    space = expand(at("small"))
    big, small = (task.config for task in space.tasks)
    sizes = dict(big.data.arguments)
    assert (sizes["train_size"], sizes["validation_size"], sizes["test_size"]) == (10_000, 2_000, 2_000)
    assert (big.epochs, small.epochs) == (3, 2)
    assert "train_size" not in dict(small.data.arguments)  # the digits are small enough
    assert space.seeds == 5
    assert len(space.inits) == 4
    lrs = [lrs for _, lrs in space.optimizers]
    assert [len(x) for x in lrs if isinstance(x, tuple)] == [11, 11, 11]
    assert isinstance(lrs[0], tuple)
    assert (lrs[0][0], lrs[0][-1]) == (1e-9, 1e8)


def test_milestones_and_warm_up_shrink_with_the_epochs() -> None:
    space = expand(at("small"))
    arguments = [dict(optimizer.config.arguments) for optimizer, _ in space.optimizers]
    assert arguments[0]["milestones"] == pytest.approx((1.2, 1.8, 2.4))
    assert [a["warmup_epochs"] for a in arguments] == [0.0, pytest.approx(0.075), 0.0]


def test_a_scaled_study_has_another_name_and_says_what_it_is_in_its_title_and_labels() -> None:
    found = at("smoke")
    assert found.name == "small-smoke"
    assert str(SCALES["smoke"]) in found.title
    assert [task.label for task in expand(found).tasks] == ["cifar10 resnet20 (smoke)", "digits mlp (smoke)"]


def test_what_is_smaller_than_the_scale_stays_as_it_is() -> None:
    tiny = scaled(parse(spec(search={"seeds": 1, "lr": 0.1})), "small")
    space = expand(tiny)
    assert (space.seeds, space.cell_count) == (1, 1)
    assert space.tasks[0].config.epochs == 2


def test_a_samplers_ranges_stay_and_its_budget_shrinks() -> None:
    drawn = {"sampler": "qmc", "budget": 200, "lr": {"low": 1e-3, "high": 1.0}, "seeds": 1}
    space = expand(scaled(parse(spec(search=drawn)), "smoke"))
    assert space.budget == 10


def test_an_unknown_scale_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="there is no 'smal'; did you mean 'small'"):
        at("smal")


IMAGES = {
    "tasks": [
        {"data": "imagenet", "model": "resnet50", "norm": "batch", "epochs": 90, "batch_size": 256},
        {"data": "cifar10", "model": "toy-cnn", "norm": "batch", "epochs": 200, "batch_size": 128},
        {"data": "digits", "model": "mlp", "epochs": 2},
    ]
}


def test_smoke_gives_large_models_two_steps_and_stands_in_for_data_that_is_not_there(tmp_path: Path) -> None:
    study = scaled(parse(spec(**IMAGES)), "smoke", tmp_path)
    large, small, there = (task.config for task in expand(study).tasks)
    assert dict(large.data.arguments) | {"channels": 3, "side": 224} == dict(large.data.arguments)
    assert (large.data.name, large.batch_size, large.epochs) == ("synthetic", 4, 1)
    facts = [DATASETS.get(task.data.name).facts(dict(task.data.arguments)) for task in (large, small)]
    assert [fact.shape for fact in facts] == [(3, 224, 224), (3, 32, 32)]
    assert [fact.train_size for fact in facts] == [8, 1_000]
    assert (small.batch_size, facts[1].classes) == (128, 10)
    assert there.data.name == "digits"
    labels = [task.label for task in expand(study).tasks]
    assert ["synthetic data" in label for label in labels] == [True, True, False]


@pytest.mark.parametrize("name", ["small", "full"])
def test_no_other_scale_stands_in_for_data(name: str, tmp_path: Path) -> None:
    study = scaled(parse(spec(**IMAGES)), name, tmp_path)
    assert [table["data"] for table in study.tasks] == ["imagenet", "cifar10", "digits"]


def test_data_that_is_there_is_used_at_smoke_too(tmp_path: Path) -> None:
    for folder in DATASETS.get("imagenet").folders:
        (tmp_path / folder).mkdir(parents=True)
    study = scaled(parse(spec(**IMAGES)), "smoke", tmp_path)
    assert [table["data"] for table in study.tasks] == ["imagenet", "synthetic", "digits"]
