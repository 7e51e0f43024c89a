"""How long the read side takes on a large store, and how much memory: a store of made-up trials, real commands."""

from __future__ import annotations

import hashlib
import itertools
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robustness.store import open_store
from robustness.trial import EpochRecord, ImportedTask, ImportedTrial, TrialRecord, canonical_json, round_lr

__all__ = ["COMMANDS", "Reading", "fill", "readings"]

NAME = "large"
EPOCHS = 10
_TASKS, _OPTIMIZERS, _INITS, _LRS = 4, 10, 5, 25

COMMANDS = {
    "metrics": ("metrics", NAME, "--json"),
    "one metric": ("metrics", NAME, "--json", "--metric", "divergence_rate"),
    "table": ("table", NAME),
    "table of cells": ("table", NAME, "--format", "csv"),
    "one heatmap": ("figures", NAME, "--figure", "heatmap-diverged", "--task", "task 0", "--formats", "html"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One command on the store: seconds, start of Python included, and megabytes at the most."""

    command: str
    seconds: float
    megabytes: float


def fill(path: Path, trials: int) -> int:
    """Make a store of about so many trials of 10 epochs, in which larger learning rates diverge; how many."""
    seeds = max(trials // (_TASKS * _OPTIMIZERS * _INITS * _LRS), 1)
    facts = ImportedTask(budget="10 epochs", chance=0.1, constant_loss=2.303, reference=0.9, test_size=10_000)
    tasks = {f"task {t}": facts.as_dict() for t in range(_TASKS)}
    with open_store(f"sqlite:///{path}", create=True) as store:
        return store.import_study(NAME, title="", source={}, tasks=tasks, trials=_trials(seeds))


def _trials(seeds: int) -> Iterator[ImportedTrial]:
    rng = np.random.default_rng(0)
    lrs = [round_lr(float(lr)) for lr in np.geomspace(1e-4, 10, _LRS)]
    axes = (range(_TASKS), range(_OPTIMIZERS), range(_INITS), lrs, range(seeds))
    for task, optimizer, init, lr, seed in itertools.product(*axes):
        beyond = math.log10(lr) - 0.3 + 0.1 * optimizer - 0.05 * init + 0.15 * rng.standard_normal()
        accuracy = (
            0.1 if beyond > 0 else max(0.1, 0.9 - 0.05 * (beyond + 1) ** 2 + 0.01 * rng.standard_normal())
        )
        config = canonical_json(
            {"optimizer": {"name": "sgd", "momentum": optimizer / 10}, "at": [task, init, lr, seed]}
        )
        yield ImportedTrial(
            task=f"task {task}",
            optimizer=f"optimizer {optimizer}",
            init=f"init {init}",
            lr=lr,
            seed_index=seed,
            config=config,
            record=TrialRecord(
                key=hashlib.sha256(config.encode()).hexdigest(),
                l0=2.31,
                first_nonfinite_step=50 if beyond > 0.3 else None,
                nonfinite=beyond > 0.3,
                epochs=tuple(_epochs(accuracy, dead=beyond > 0.3)),
            ),
        )


def _epochs(accuracy: float, *, dead: bool) -> Iterator[EpochRecord]:
    for epoch in range(1, EPOCHS + 1):
        loss = (
            math.nan
            if dead and epoch == EPOCHS
            else 2.3 * math.exp(-epoch / 4) + (2.3 if accuracy == 0.1 else 0)
        )
        score = math.nan if math.isnan(loss) else accuracy
        yield EpochRecord(
            epoch=epoch,
            train_loss=loss,
            train_loss_max=loss,
            validation_loss=loss,
            validation_accuracy=score,
            test_loss=loss,
            test_accuracy=score,
            parameter_norm=5.0,
            distance=1.0,
            clamped_share=math.nan,
            seconds=0.1,
        )


def readings(folder: Path, *, rounds: int, on_run: Callable[[], None]) -> Iterator[Reading]:
    """The least time of each command over rounds, each a process of its own.

    Args:
        folder: with the store of `fill`, `large.db`.
        rounds: of all commands.
        on_run: called after each run, for a progress bar.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            found[name].append(_run([*arguments, "--store", f"sqlite:///{folder / 'large.db'}"], folder))
            on_run()
    for name, runs in found.items():
        yield Reading(
            command=name,
            seconds=round(min(seconds for seconds, _ in runs), 2),
            megabytes=round(max(megabytes for _, megabytes in runs)),
        )


# The most that this process held: Linux's ru_maxrss would count the memory of the process that started it.
_PROGRAM = """
import re, resource, sys
from robustness.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
try:
    with open("/proc/self/status") as status:
        most = re.search(r"VmHWM:\\s+(\\d+)", status.read())[1]
except OSError:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(most, file=sys.stderr)
"""


def _run(arguments: list[str], folder: Path) -> tuple[float, float]:
    if arguments[0] == "figures":
        arguments = [*arguments, "--out", str(folder / "figures")]
    began = time.perf_counter()
    command = [sys.executable, "-c", _PROGRAM, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return time.perf_counter() - began, int(done.stderr.split()[-1]) / 1024
