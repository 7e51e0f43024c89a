"""step-back's logs: *.json, each a list of runs {"config": ..., "history": [one object an epoch], "summary": ...}.

Figures of an epoch are measured after it, on the whole training set and on held-out data that the log calls
`val`. Where there are no others these are the test set here. `step_logs`, where there, has the loss of every
step before its update.

Source: the files that step-back (BSD-3-Clause) publishes, and its `Base.run`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from robustness.errors import SpecError
from robustness.importers.known_tasks import step_back_task
from robustness.importers.labels import hyperparameters_varying_in_tasks
from robustness.importers.reading import (
    checked_label,
    learning_rate,
    number,
    read_json,
    shape,
    share,
    whole,
)
from robustness.importers.runs import Advance, Format, Run, epoch_row, until_death
from robustness.trial import EpochRecord, ImportedTask

__all__ = ["FORMAT"]

SETTINGS = ("batch_size", "max_epoch", "dataset_kwargs", "model_kwargs", "loss_func")
READ = {*SETTINGS, "dataset", "model", "opt", "run_id", "seed", "score_func"}
ROW = {"epoch", "train_loss", "val_loss", "val_score", "test_loss", "test_score", "model_norm"}
# Series of single steps: what they tell stands in the record, and they are most of the files.
STEPS = {"step_logs", "step_size_list"}


def _files(path: Path) -> list[Path]:
    found = [path] if path.is_file() else sorted(file for file in path.rglob("*.json") if file.is_file())
    if not found:
        raise SpecError.of(str(path), "holds no .json file")
    return found


def _runs(file: Path, name: str, advance: Advance) -> Iterator[Run]:
    plain = shape(read_json(file, name), name, "a step-back log", list)
    advance(file.stat().st_size)
    for i, run in enumerate(plain):
        where = f"{name}, run {i + 1}"
        yield _run(shape(run, where, "a run", dict), name, i + 1, where)


def _run(plain: Mapping[str, Any], name: str, number_: int, where: str) -> Run:
    for key in ("config", "history"):
        if key not in plain:
            raise SpecError.of(where, f"is no run of step-back: it has no {key!r}")
    config = shape(plain["config"], where, "config", dict)
    opt = shape(config.get("opt"), where, "config.opt", dict)
    history = shape(plain["history"], where, "history", list)
    history = [shape(entry, where, f"history[{i}]", dict) for i, entry in enumerate(history)]
    if not history:
        raise SpecError.of(where, "history is empty: the run has no epoch")
    dataset, model = (checked_label(config.get(key), where, f"config.{key}") for key in ("dataset", "model"))
    score = _score(config, where)
    rows = [_row(entry, i, score, where) for i, entry in enumerate(history)]
    dead = [not math.isfinite(row.train_loss) for row in rows]
    steps = _steps(history, where)
    broken = [step for step, loss in steps.items() if not math.isfinite(loss)]
    seed, batch = config.get("run_id", config.get("seed")), config.get("batch_size")
    epochs = whole(config.get("max_epoch", len(history)), where, "config.max_epoch", low=1)
    return Run(
        file=name,
        item=str(number_),
        task=checked_label(f"{dataset}-{model}", where, "the task's label"),
        optimizer=checked_label(opt.get("name"), where, "config.opt.name"),
        arguments={key: value for key, value in opt.items() if key not in ("name", "lr")},
        settings={key: config[key] for key in SETTINGS if key in config},
        lr=learning_rate(opt.get("lr"), where, "config.opt.lr"),
        seed=None if seed is None else whole(seed, where, "config.run_id"),
        facts={
            "dataset": dataset,
            "loss": config.get("loss_func"),
            "score": score,
            "epochs": epochs,
            "batch_size": None if batch is None else whole(batch, where, "config.batch_size", low=1),
        },
        l0=steps.get(0, math.nan),  # of one batch: the log has no other figure from before training
        nonfinite=bool(broken or any(dead) or any(map(_lost, history))),
        first_nonfinite_step=min(broken) + 1 if broken else None,
        epochs=until_death(rows, dead),
        rest={
            "score_func": config.get("score_func"),
            "config": {key: value for key, value in config.items() if key not in READ},
            "history": _unread(history),
            "summary": plain.get("summary"),
            **{key: value for key, value in plain.items() if key not in ("config", "history", "summary")},
        },
    )


def _lost(entry: Mapping[str, Any]) -> bool:
    """Whether an epoch shows a loss, or the parameters, beyond the finite numbers."""
    shown = [entry.get(key) for key in ("train_loss", "val_loss", "test_loss", "model_norm")]
    return any(isinstance(value, float) and not math.isfinite(value) for value in shown)


def _score(config: Mapping[str, Any], where: str) -> Literal["accuracy", "loss"]:
    name = config.get("score_func")
    if not isinstance(name, str):
        raise SpecError.of(where, f"config.score_func must be a name, got {name!r:.80}")
    return "accuracy" if name.endswith("accuracy") else "loss"


def _row(entry: Mapping[str, Any], i: int, score: str, where: str) -> EpochRecord:
    def figure(key: str) -> float:
        return number(entry.get(key), where, f"history[{i}].{key}")

    def accuracy(key: str) -> float:
        return share(figure(key), where, f"history[{i}].{key}") if score == "accuracy" else math.nan

    if "train_loss" not in entry:
        raise SpecError.of(where, f"history[{i}] has no train_loss")
    if whole(entry.get("epoch", i), where, f"history[{i}].epoch") != i:
        raise SpecError.of(where, f"history[{i}].epoch must be {i}, got {entry['epoch']!r:.40}")
    held_out = "test" if "test_loss" in entry else "val"
    validated = held_out == "test"
    peak = max(_losses(entry, i, where).values(), default=figure("train_loss"))
    return epoch_row(
        i + 1,
        train_loss=figure("train_loss"),
        train_loss_max=peak,
        validation_loss=figure("val_loss") if validated else math.nan,
        validation_accuracy=accuracy("val_score") if validated else math.nan,
        test_loss=figure(f"{held_out}_loss"),
        test_accuracy=accuracy(f"{held_out}_score"),
        parameter_norm=figure("model_norm"),
        seconds=figure("train_epoch_time"),
    )


def _losses(entry: Mapping[str, Any], i: int, where: str) -> dict[int, float]:
    """Loss of each step of an epoch, by its number from 0; NaN is infinite, so that it is the largest."""
    logs = entry.get("step_logs")
    if logs is None:
        return {}
    field = f"history[{i}].step_logs"
    losses = shape(logs, where, field, dict).get("loss", {})
    found = {}
    for step, value in shape(losses, where, f"{field}.loss", dict).items():
        if not (step.isascii() and step.isdigit() and len(step) < 16):
            raise SpecError.of(where, f"{field}.loss: {step!r:.40} is no number of a step")
        loss = number(value, where, f"{field}.loss[{step}]")
        found[int(step)] = loss if math.isfinite(loss) else math.inf
    return found


def _steps(history: Sequence[Mapping[str, Any]], where: str) -> dict[int, float]:
    return {step: loss for i, entry in enumerate(history) for step, loss in _losses(entry, i, where).items()}


def _unread(history: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """What the record of an epoch has no column for, one list a field."""
    keys = dict.fromkeys(key for entry in history for key in entry)
    return {key: [entry.get(key) for entry in history] for key in keys if key not in ROW and key not in STEPS}


def _tasks(heads: Sequence[Run]) -> dict[str, ImportedTask]:
    found = {}
    for label in dict.fromkeys(head.task for head in heads):
        facts = [head.facts for head in heads if head.task == label]
        if len({fact["score"] for fact in facts}) > 1:
            raise SpecError.of(label, "has runs with an accuracy and runs with a loss as score_func")
        budgets = {(fact["epochs"], fact["batch_size"]) for fact in facts}
        loss = str(facts[0]["loss"])  # one for all: runs of another are another task's
        found[label] = step_back_task(facts[0]["dataset"], loss, facts[0]["score"], budgets)
    return found


def _notes(heads: Sequence[Run], path: Path) -> list[str]:
    notes = ["test figures: the held-out data that the log calls val, where it has no others"]
    if any(math.isfinite(head.l0) for head in heads):
        notes.append("l0: the loss of the first batch, before the first step")
    return notes


FORMAT = Format(
    files=_files,
    runs=_runs,
    tasks=_tasks,
    notes=_notes,
    task_settings=SETTINGS,
    label_fields=partial(hyperparameters_varying_in_tasks, task_settings=SETTINGS),
)
