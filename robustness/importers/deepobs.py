"""DeepOBS's logs: ROOT/testproblem/Optimizer/setting/random_seed__S__DATE.json, one run a file.

Lists of num_epochs + 1 figures, the first from before training. A TensorFlow run (v1.0, v1.1) goes on after a
NaN to its last epoch. v1.2 ends a run whose loss is not finite, and fills its lists up with the figures from
before training: such a run looks finished, and as good as new. Losses are those that are minimized, the
L2 penalty of the problems that have one included.

Source: StandardRunner of DeepOBS 1.1, Runner and its `_abort_routine` of 1.2 (MIT).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from robustness.errors import SpecError
from robustness.importers.known_tasks import DEEPOBS, deepobs_task
from robustness.importers.labels import hyperparameters_varying_in_tasks
from robustness.importers.reading import (
    checked_label,
    learning_rate,
    number,
    numbers,
    read_json,
    shape,
    share,
    whole,
)
from robustness.importers.runs import Advance, Format, Run, epoch_row, until_death
from robustness.trial import EpochRecord, ImportedTask

__all__ = ["FORMAT"]

PATTERN = "random_seed__*.json"
LAYOUT = "testproblem/Optimizer/setting/random_seed__SEED__DATE.json"
NAMES = {
    "AdamOptimizer": "Adam",
    "GradientDescentOptimizer": "SGD",
    "MomentumOptimizer": "Momentum",
}
SERIES = tuple(f"{part}_{what}" for part in ("train", "valid", "test") for what in ("losses", "accuracies"))
READ = {
    *SERIES,
    "minibatch_train_losses",
    "optimizer",
    "optimizer_name",
    "testproblem",
    "learning_rate",
    "random_seed",
    "hyperparams",
    "optimizer_hyperparams",
}
BUDGET = ("batch_size", "num_epochs")
SETTINGS = (*BUDGET, "weight_decay", "l2_reg", "lr_sched_epochs", "lr_sched_factors")


def _files(path: Path) -> list[Path]:
    found = [path] if path.is_file() else sorted(file for file in path.rglob(PATTERN) if file.is_file())
    if not found:
        raise SpecError.of(
            str(path), f"holds no DeepOBS logs: a file of one is at {LAYOUT} below PATH or its parent"
        )
    return found


def _runs(file: Path, name: str, advance: Advance) -> Iterator[Run]:
    plain = shape(read_json(file, name), name, "a DeepOBS log", dict)
    advance(file.stat().st_size)
    yield _run(plain, name)


def _run(plain: Mapping[str, Any], name: str) -> Run:
    task = checked_label(_first(plain, name, "testproblem"), name, "testproblem")
    raw = checked_label(_first(plain, name, "optimizer", "optimizer_name"), name, "optimizer")
    arguments = dict(
        shape(plain.get("hyperparams", plain.get("optimizer_hyperparams", {})), name, "hyperparams", dict)
    )
    # v1.2 has the learning rate among the optimizer's arguments, under the framework's name for it.
    inner = [arguments.pop(key) for key in ("learning_rate", "lr") if key in arguments]
    lr = learning_rate(plain.get("learning_rate", inner[0] if inner else None), name, "learning_rate")
    settings = {key: plain[key] for key in SETTINGS if key in plain}
    series = _series(plain, name, loss_only=task in DEEPOBS and DEEPOBS[task].score == "loss")
    planned = whole(plain.get("num_epochs", len(series["train_losses"]) - 1), name, "num_epochs", low=1)
    if len(series["train_losses"]) > planned + 1:
        raise SpecError.of(
            name, f"train_losses has {len(series['train_losses'])} figures, num_epochs is {planned}"
        )
    seed, batch = plain.get("random_seed"), plain.get("batch_size")
    return Run(
        file=name,
        task=task,
        optimizer=NAMES.get(raw, raw),
        arguments=arguments,
        settings=settings,
        lr=lr,
        seed=None if seed is None else whole(seed, name, "random_seed"),
        facts={
            "problem": task,
            "epochs": planned,
            "batch_size": None if batch is None else whole(batch, name, "batch_size", low=1),
            "accuracy": bool(series["test_accuracies"]),
            "short": len(series["train_losses"]) <= planned,
        },
        l0=series["train_losses"][0],
        rest={key: value for key, value in plain.items() if key not in READ and key not in SETTINGS},
        **_course(plain, series, planned, name),
    )


def _first(plain: Mapping[str, Any], name: str, *keys: str) -> Any:
    for key in keys:
        if key in plain:
            return plain[key]
    raise SpecError.of(name, f"is no DeepOBS log: it has no {keys[0]!r}")


def _series(plain: Mapping[str, Any], name: str, *, loss_only: bool) -> dict[str, list[float]]:
    """The lists of figures, one an epoch; those that are missing are empty."""
    for key in ("train_losses", "test_losses"):
        _first(plain, name, key)
    found = {key: numbers(plain.get(key), name, key) for key in SERIES}
    size = len(found["train_losses"])
    if size < 2:
        raise SpecError.of(
            name, f"train_losses must have a figure from before training and one an epoch, got {size}"
        )
    for key, values in found.items():
        if values and len(values) != size:
            raise SpecError.of(name, f"{key} has {len(values)} figures, train_losses {size}")
    for key in ("train_accuracies", "valid_accuracies", "test_accuracies"):
        if loss_only:  # some versions write zeros
            found[key] = []
        for i, value in enumerate(found[key]):
            share(value, name, f"{key}[{i}]")
    # Early versions of 1.2 had no validation set yet and evaluated on the test set twice.
    if found["valid_losses"] == found["test_losses"]:
        found["valid_losses"] = found["valid_accuracies"] = []
    return found


def _course(
    plain: Mapping[str, Any], series: Mapping[str, list[float]], planned: int, name: str
) -> dict[str, Any]:
    """Epochs, and whether and when the run left the finite numbers."""
    steps = numbers(plain.get("minibatch_train_losses"), name, "minibatch_train_losses")
    train, test = series["train_losses"], series["test_losses"]
    padded = _padding(train, test) if "optimizer" not in plain else None
    rows = _rows(series, _peaks(steps, planned, len(train) - 1))
    dead = [not math.isfinite(row.train_loss) for row in rows]
    broken = [i for i, loss in enumerate(steps) if not math.isfinite(loss)]
    if padded is not None:
        rows, dead = [*rows[: padded - 1], epoch_row(padded)], [*dead[: padded - 1], True]
    elif len(train) <= planned and broken and not dead[-1]:  # it ended with the epoch that it did not finish
        rows, dead = [*rows, epoch_row(len(train))], [*dead, True]
    # v1.2 wrote some steps twice and stops in between: there a place in the list is no step.
    interval = number(plain.get("train_log_interval"), name, "train_log_interval")
    exact = "optimizer" in plain and interval == 1 and len(steps) % planned == 0
    return {
        "epochs": until_death(rows, dead),
        "nonfinite": bool(
            broken or any(dead) or not all(map(math.isfinite, [*train, *test, *series["valid_losses"]]))
        ),
        "first_nonfinite_step": broken[0] + 1 if broken and exact else None,
    }


def _padding(train: Sequence[float], test: Sequence[float]) -> int | None:
    """The first of the epochs at the end that repeat, to the last bit, the figures from before training."""
    start = (train[0], test[0])
    at = len(train)
    while at > 1 and (train[at - 1], test[at - 1]) == start:
        at -= 1
    return at if at < len(train) else None


def _peaks(steps: Sequence[float], planned: int, epochs: int) -> list[float]:
    """Largest logged loss of a step in each epoch; empty where the list of steps is not whole."""
    if not steps or len(steps) % planned or epochs != planned:
        return []
    size = len(steps) // planned
    chunks = [steps[i * size : (i + 1) * size] for i in range(planned)]
    return [max(chunk) if all(map(math.isfinite, chunk)) else math.inf for chunk in chunks]


def _rows(series: Mapping[str, list[float]], peaks: Sequence[float]) -> list[EpochRecord]:
    def at(key: str, epoch: int) -> float:
        return series[key][epoch] if series[key] else math.nan

    return [
        epoch_row(
            epoch,
            train_loss=at("train_losses", epoch),
            train_loss_max=peaks[epoch - 1] if peaks else at("train_losses", epoch),
            validation_loss=at("valid_losses", epoch),
            validation_accuracy=at("valid_accuracies", epoch),
            test_loss=at("test_losses", epoch),
            test_accuracy=at("test_accuracies", epoch),
        )
        for epoch in range(1, len(series["train_losses"]))
    ]


def _tasks(heads: Sequence[Run]) -> dict[str, ImportedTask]:
    found = {}
    for label in dict.fromkeys(head.task for head in heads):
        facts = [head.facts for head in heads if head.task == label]
        budgets = {(fact["epochs"], fact["batch_size"]) for fact in facts}
        accuracy = any(fact["accuracy"] for fact in facts)
        found[label] = deepobs_task(facts[0]["problem"], budgets, accuracy=accuracy)
    return found


def _notes(heads: Sequence[Run], path: Path) -> list[str]:
    notes = []
    if short := sum(head.facts["short"] for head in heads):
        notes.append(f"{short:,} runs have fewer epochs than they were to have")
    if path.is_dir() and (others := sum(1 for _ in path.rglob("*.json")) - len({h.file for h in heads})):
        notes.append(f"{others:,} other .json files were not read: they are not named {PATTERN}")
    return notes


FORMAT = Format(
    files=_files,
    runs=_runs,
    tasks=_tasks,
    notes=_notes,
    task_settings=BUDGET,
    label_fields=partial(hyperparameters_varying_in_tasks, task_settings=BUDGET),
)
