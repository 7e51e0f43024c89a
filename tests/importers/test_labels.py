"""Labels of tasks and optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustness.errors import SpecError
from robustness.importers.labels import (
    hyperparameters_varying_in_tasks,
    label_notes,
    optimizer_labels,
    task_labels,
)
from robustness.importers.runs import Run

BUDGET = ("batch_size", "epochs")


def head(task: str = "t", optimizer: str = "sgd", **changes: Any) -> Run:
    return Run(file="f", task=task, optimizer=optimizer, lr=0.1, **changes)


def labels(heads: Sequence[Run]) -> list[str]:
    return optimizer_labels(heads, hyperparameters_varying_in_tasks(heads, BUDGET))


def test_labels_show_what_varies_and_no_more() -> None:
    heads = [
        head(arguments={"momentum": 0.9, "nesterov": False}, settings={"schedule": [1, 2]}),
        head(arguments={"momentum": 0.9, "nesterov": True}, settings={"schedule": None}),
        head(arguments={"momentum": 0.9}, settings={}),
    ]
    assert labels(heads) == ["sgd nesterov=false schedule=[1, 2]", "sgd nesterov=true schedule=none", "sgd"]


def test_what_varies_on_one_task_is_shown_on_all() -> None:
    heads = [head("t", arguments={"momentum": m}) for m in (0.9, 0.99)] + [
        head("u", arguments={"momentum": 0.9})
    ]
    assert labels(heads) == ["sgd momentum=0.9", "sgd momentum=0.99", "sgd momentum=0.9"]


def test_what_differs_between_tasks_alone_is_in_no_label_and_said() -> None:
    heads = [head(task, arguments={"momentum": m}) for task, m in (("t", 0.9), ("u", 0.99))]
    assert labels(heads) == ["sgd", "sgd"]
    assert label_notes(heads, {"sgd": ()}, BUDGET) == [
        "sgd: momentum differs between tasks, and no label shows it"
    ]


def test_other_optimizers_hyperparameters_do_not_count() -> None:
    heads = [head(arguments={"momentum": 0.9}), head(optimizer="adam", arguments={"beta1": 0.9})]
    assert labels(heads) == ["sgd", "adam"]


settings = st.fixed_dictionaries(
    {
        "batch_size": st.integers(1, 3),
        "epochs": st.integers(1, 3),
        "weight_decay": st.sampled_from([0.0, 0.1]),
    }
)


@given(st.lists(st.tuples(st.sampled_from("tu"), st.sampled_from(["sgd", "adam"]), settings), min_size=1))
def test_the_budget_is_in_the_tasks_label_and_never_in_an_optimizers(
    runs: list[tuple[str, str, Any]],
) -> None:
    heads = [head(task, optimizer, settings=fields) for task, optimizer, fields in runs]
    tasks = task_labels(heads, BUDGET)
    for label in labels(heads):
        assert "batch_size" not in label
        assert "epochs" not in label
    budgets: dict[str, set[tuple[int, int]]] = {}
    for label, run in zip(tasks, heads, strict=True):
        budgets.setdefault(label, set()).add((run.settings["batch_size"], run.settings["epochs"]))
        assert "weight_decay" not in label
    assert all(len(of_task) == 1 for of_task in budgets.values())


def test_labels_that_are_too_long_are_cut_and_stay_apart() -> None:
    long = labels([head(arguments={"a": "x" * 300 + end}) for end in "12"])
    assert len(set(long)) == 2
    assert all(len(label) <= 200 for label in long)


def test_control_characters_in_an_argument_are_refused_with_the_file() -> None:
    with pytest.raises(SpecError, match="^f: the optimizer's label must be one line"):
        labels([head(arguments={"a": "x\ny"}), head(arguments={"a": 1})])
    with pytest.raises(SpecError, match="^f: the task's label must be one line"):
        task_labels([head(settings={"epochs": "x\ny"}), head(settings={"epochs": 1})], BUDGET)
