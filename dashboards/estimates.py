"""How long a study will take, before it runs: by trials like its own in this store, else by what was measured once."""

from __future__ import annotations

import functools
import time

from robustness.catalog import DATASETS
from robustness.service import Reader
from robustness.spec import Space
from robustness.store.activity import recent_costs
from robustness.trial import Named

from .raw import duration

__all__ = ["estimate"]

RECENT = 2_000
"""Trials that an estimate rests on."""
MEASURED = {("digits", "mlp"): 4.7e-6, ("digits", "toy-cnn"): 5.0e-5, ("fashion-mnist", "toy-cnn"): 4.9e-4}
"""Seconds of one core (AMD EPYC of 2017) for a training example and epoch of a trial, packed, with its evaluations."""


def estimate(reader: Reader, space: Space) -> str:
    """In a sentence; where nothing is known, that."""
    minute = int(time.time() / 60)
    total, own = 0.0, True
    for task in space.tasks:
        data, model = task.config.data, task.config.model.name
        each = _stored(reader, data.name, model, minute)
        if each is None:
            each, own = MEASURED.get((data.name, model)), False
        if each is None:
            return "No trial of its data and model has been trained into this store, so there is no estimate of its time."
        total += each * task.config.epochs * _examples(data) * space.trial_counts.expected / len(space.tasks)
    basis = (
        "by the last such trials"
        if own
        else "as measured on one machine: yours may take a few times less or more"
    )
    return f"About {duration(total)} of one core, {basis}; all cores share it."


def _examples(data: Named) -> int:
    return DATASETS.get(data.name).facts(dict(data.arguments)).train_size


@functools.lru_cache(maxsize=64)
def _stored(reader: Reader, data: str, model: str, minute: int) -> float | None:
    """Seconds an example and epoch in the mean of this store's last such trials; looked up once a minute."""
    costs = recent_costs(reader.store, data=data, model=model, most=RECENT)
    work = 0
    for _, epochs, config in costs:
        arguments = config["task"]["data"]
        name = arguments.pop("name")
        work += epochs * _examples(Named(name=name, arguments=tuple(arguments.items())))
    return sum(seconds for seconds, _, _ in costs) / work if work else None
