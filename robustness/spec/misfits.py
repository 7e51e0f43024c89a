"""What does not fit together: fields that are fine one by one and cannot be trained as they are combined."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from robustness.catalog import DATASETS, INITS, MODELS, OPTIMIZERS, DataFacts
from robustness.errors import Problem
from robustness.spec.axes import Labelled
from robustness.trial import Named, TaskConfig

__all__ = ["misfits"]

LEAST_STOP = 2.0  # below, trials that go on to train would be stopped
MAX_NUMBERS = 1_000_000_000
DATA_SIZES = ("train_size", "validation_size", "test_size")


def misfits(
    tasks: Sequence[Labelled[TaskConfig]],
    optimizers: Sequence[Labelled[Named]],
    inits: Sequence[Labelled[Named]],
) -> list[Problem]:
    """Every combination of a study's variants that cannot be trained, each said once."""
    problems: list[Problem] = [problem for task in tasks for problem in _of_drawn(task)]
    for path, config in ((task.path, end) for task in tasks for end in task.ends):
        facts = DATASETS.get(config.data.name).facts(dict(config.data.arguments))
        problems += _of_data(path, config, facts)
        problems += _of_model(path, config, facts)
        model = MODELS.get(config.model.name)
        for init in inits:
            refusal = INITS.get(init.config.name).refusal(model)
            if refusal:
                problems.append(Problem("search.init", refusal))
        for optimizer in optimizers:
            refusal = OPTIMIZERS.get(optimizer.config.name).model_rule(
                dict(optimizer.config.arguments), model
            )
            if refusal:
                problems.append(Problem(optimizer.path, refusal))
    longest = max(config.epochs for task in tasks for config in task.ends)
    for optimizer in optimizers:
        problems += _of_schedule(optimizer.path, longest, dict(optimizer.config.arguments))
    return list(dict.fromkeys(problems))


def _of_schedule(path: str, epochs: int, arguments: dict[str, Any]) -> Iterator[Problem]:
    """What no task's budget reaches: the axis of learning rates would silently be another one."""
    if arguments["warmup_epochs"] > epochs:
        yield Problem(
            path,
            f"warmup_epochs must be <= {epochs}, the epochs of the longest task, got {arguments['warmup_epochs']:g}",
        )
    late = [m for m in arguments["milestones"] if m >= epochs]
    if late:
        yield Problem(path, f"milestones must be < {epochs}, the epochs of the longest task, got {late[0]:g}")


def _of_drawn(task: Labelled[TaskConfig]) -> Iterator[Problem]:
    """What a sampler may not draw: trials of one label must be judged alike, and every draw must be trainable."""
    for axis in task.axes:
        if axis.field in dict(task.config.data.arguments) or axis.field in DATA_SIZES:
            yield Problem(axis.name, "cannot be drawn: trials of one task share their data; give points")
        elif axis.field == "stop_above":
            yield Problem(axis.name, "cannot be drawn: it decides what counts as a blow-up; give points")
        elif axis.field == "width" and task.config.norm == "group":
            yield Problem(
                axis.name, "cannot be drawn with norm = group, which needs multiples of 4; give points"
            )


def _of_data(path: str, config: TaskConfig, facts: DataFacts) -> Iterator[Problem]:
    if config.batch_size > facts.train_size:
        yield Problem(
            f"{path}.batch_size",
            f"must be <= {facts.train_size}, the training examples of {config.data.name}, got {config.batch_size}",
        )
    for size, counts in (("train_size", facts.train_counts), ("test_size", facts.test_counts)):
        if 0 not in counts:
            continue
        if "classes" in dict(config.data.arguments):
            yield Problem(
                f"{path}.classes", f"must be <= the training and the test examples, got {facts.classes}"
            )
        else:
            yield Problem(
                f"{path}.{size}",
                f"must leave an example of each of {facts.classes} classes, got {sum(counts)}",
            )
    numbers = math.prod(facts.shape) * (facts.train_size + facts.validation_size + facts.test_size)
    if numbers > MAX_NUMBERS and not DATASETS.get(config.data.name).streamed:
        yield Problem(path, f"the data set would hold {numbers:,} numbers, at most {MAX_NUMBERS:,}")
    if 0 < config.stop_above < LEAST_STOP:
        yield Problem(
            f"{path}.stop_above",
            f"must be 0 or >= {LEAST_STOP:g}, a multiple of the loss at the start, got {config.stop_above:g}",
        )
    if config.norm == "batch" and config.batch_size < 2:
        yield Problem(f"{path}.batch_size", "must be >= 2 with norm = batch, got 1")


def _of_model(path: str, config: TaskConfig, facts: DataFacts) -> Iterator[Problem]:
    arguments: dict[str, Any] = dict(config.model.arguments)
    refusal = MODELS.get(config.model.name).refusal(config.norm, facts.shape, arguments)
    if refusal:
        yield Problem(f"{path}.{refusal[0]}", refusal[1])
    if config.augment != "none" and len(facts.shape) != 3:
        yield Problem(
            f"{path}.augment",
            f"{config.augment} needs images; inputs of {config.data.name} have shape {facts.shape}",
        )
    width, depth = arguments.get("width", 0), arguments.get("depth", 0)
    if config.norm == "group" and depth and width % 4:
        yield Problem(f"{path}.width", f"must be a multiple of 4 with norm = group, got {width}")
    weights = width * (math.prod(facts.shape) + width * depth)
    if weights > MAX_NUMBERS:
        yield Problem(path, f"the model would have {weights:,} weights, at most {MAX_NUMBERS:,}")
