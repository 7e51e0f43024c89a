"""The catalog says what the code takes, and refuses what it does not."""

from __future__ import annotations

import csv
import importlib
import inspect
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustness.catalog import DATASETS, INITS, MODELS, OPTIMIZERS, Argument, Entry, Registry, data_root
from robustness.catalog.datasets import SIZES, apportioned
from robustness.catalog.references import reference_score
from robustness.errors import DataMissing
from robustness.spec import expand, parse
from robustness.tasks import build_model
from robustness.trial import TaskConfig
from tests.builders import spec

# How an optimizer is executed, not what it computes; and the learning rate, which is every study's axis.
EXECUTION = {
    "self",
    "params",
    "model",
    "lr",
    "maximize",
    "foreach",
    "fused",
    "capturable",
    "differentiable",
    "groups",
    "plain",
}


def target(entry: Entry) -> Any:
    module, attribute = entry.target.split(":")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("entry", list(OPTIMIZERS), ids=lambda e: e.name)
def test_an_optimizers_arguments_and_defaults_are_those_of_its_class(entry: Any) -> None:
    parameters = inspect.signature(target(entry).__init__).parameters
    theirs = {name: p.default for name, p in parameters.items() if name not in EXECUTION}
    if entry.name == "adafactor":
        theirs.pop("eps")  # torch's (None, 1e-3), which no study file can write
    assert {a.name: a.default for a in entry.own} == theirs
    assert parameters["lr"].default == entry.default_lr


@pytest.mark.parametrize("entry", list(INITS), ids=lambda e: e.name)
def test_an_initializations_arguments_are_those_of_its_function(entry: Any) -> None:
    theirs = set(inspect.signature(target(entry)).parameters) - {"weight", "generator"}
    assert {a.name for a in entry.arguments} - {"scale"} == theirs


@pytest.mark.parametrize("entry", list(MODELS), ids=lambda e: e.name)
def test_a_models_arguments_are_those_of_its_class(entry: Any) -> None:
    theirs = set(inspect.signature(target(entry)).parameters) - {"shape", "classes", "norm"}
    assert {a.name for a in entry.arguments} == theirs


@pytest.mark.parametrize("entry", list(DATASETS), ids=lambda e: e.name)
def test_a_data_sets_arguments_are_those_of_its_reader(entry: Any) -> None:
    theirs = set(inspect.signature(target(entry)).parameters) - {"root"}
    if not entry.takes_sizes:  # `load` takes the part
        assert theirs.isdisjoint(SIZES)
        theirs |= set(SIZES)
    assert {a.name for a in entry.arguments} == theirs


@pytest.mark.parametrize("registry", [OPTIMIZERS, INITS, MODELS, DATASETS], ids=lambda r: r.kind)
def test_every_default_keeps_its_own_rule(registry: Any) -> None:
    for entry in registry:
        for argument in entry.arguments:
            assert argument.check(argument.default) == argument.default
            assert type(argument.check(argument.default)) is type(argument.default)


def test_data_sets_and_models_share_no_argument_name() -> None:
    of_data = {a.name for entry in DATASETS for a in entry.arguments}
    assert of_data.isdisjoint(a.name for entry in MODELS for a in entry.arguments)


def test_a_registry_refuses_a_second_entry_of_a_name() -> None:
    entry = Entry(name="a", summary="")
    with pytest.raises(ValueError, match="'a' is already registered"):
        Registry("thing", (entry, entry))


def test_a_registry_names_the_nearest_of_an_unknown_name() -> None:
    with pytest.raises(ValueError, match=r"unknown optimizer 'adamm'; did you mean 'adam'\?"):
        OPTIMIZERS.get("adamm")


def test_naming_another_packages_optimizer_leaves_our_list_as_it_was() -> None:
    before = [entry.name for entry in OPTIMIZERS]
    assert OPTIMIZERS.get("pytorch-optimizer:lion").extra == "pytorch_optimizer"
    assert [entry.name for entry in OPTIMIZERS] == before


def test_an_argument_that_is_a_whole_number_takes_no_fraction_and_a_number_takes_both() -> None:
    whole = Argument(name="n", kind="int", default=1, low=1, doc="")
    number = Argument(name="x", kind="float", default=1.0, high=2, high_open=True, doc="")
    assert (whole.check(3), number.check(1)) == (3, 1.0)
    for argument, value in ((whole, 1.0), (whole, True), (number, 2), (number, True), (number, float("nan"))):
        with pytest.raises(ValueError, match=f"must be {argument.rule}, got"):
            argument.check(value)


def test_a_missing_data_set_names_the_command_that_gets_it(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="robustness data cifar10 --root"):
        DATASETS.get("cifar10").require(tmp_path)


def test_the_data_root_is_the_option_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTNESS_DATA", "/from/environment")
    assert data_root(Path("/given")) == Path("/given")
    assert data_root() == Path("/from/environment")
    monkeypatch.delenv("ROBUSTNESS_DATA")
    assert data_root().name == "data"


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "group"])
@pytest.mark.parametrize(
    ("model", "parameters"),
    [("mlp", 64 * 64 + 64 + 64 * 10 + 10), ("toy-cnn", 72 + 1152 + 128 + 4608 + 18432 + 650)],
)
def test_a_model_has_the_parameters_of_its_definition(model: str, parameters: int, norm: str) -> None:
    task: TaskConfig = expand(parse(spec(task={"model": model, "norm": norm}))).tasks[0].config
    weights = [p.numel() for name, p in build_model(task).named_parameters()]
    normed = {"mlp": 64, "toy-cnn": 8 + 16 + 16 + 32 + 64}[model]
    assert sum(weights) == parameters + (0 if norm == "none" else 2 * normed)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20).filter(any), st.data())
def test_a_part_has_its_size_and_is_within_one_of_each_classes_share(counts: list[int], data: Any) -> None:
    size = data.draw(st.integers(1, sum(counts)))
    part = apportioned(counts, size)
    assert sum(part) == size
    for taken, count in zip(part, counts, strict=True):
        assert 0 <= taken <= count
        assert abs(taken - size * count / sum(counts)) < 1


def test_the_class_shares_make_an_entropy() -> None:
    for entry in DATASETS:
        facts = entry.facts({a.name: a.default for a in entry.arguments})
        assert facts.classes == len(facts.test_counts)
        assert np.all(np.array(facts.train_counts) > 0)


def test_every_pair_of_the_published_tables_has_its_best_accuracy_as_its_reference() -> None:
    best: dict[tuple[str, str], float] = {}
    with (resources.files("robustness.catalog") / "published" / "insgd.csv").open() as file:
        for line in csv.DictReader(file):
            if line["metric"] == "test_accuracy":
                pair = (line["task"], line["model"])
                best[pair] = max(best.get(pair, 0.0), float(line["mean"]) / 100)
    for (data, model), accuracy in best.items():
        assert data in DATASETS
        assert model in MODELS
        assert reference_score(data, model) == round(accuracy, 2)
    assert reference_score("imagenet", "mlp") is None
