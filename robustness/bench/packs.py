"""Trials a second of packs and of what a user would otherwise write, and the table of techniques measured."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from robustness.bench.plain import WAYS

__all__ = ["TRIALS", "PlanRow", "Rate", "plan", "rates"]

TRIALS: dict[str, dict[str, int]] = {
    "mlp digits": {"plain tune": 8, "lean tune": 64, "two loops": 64, "packs": 4_096},
    "toy-cnn 8x8": {"plain tune": 6, "lean tune": 24, "two loops": 24, "packs": 256},
    "toy-cnn 16x16": {"plain tune": 4, "lean tune": 12, "two loops": 12, "packs": 256},
    "toy-cnn 28x28": {"plain tune": 4, "lean tune": 8, "two loops": 8, "packs": 96},
}
"""Trials of each way, so that each takes some seconds; slow ways do fewer of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """Trials a second of one way.

    Attributes:
        workload: what was trained.
        way: how.
        trials: in each round.
        per_second: median over rounds.
        low: of the slowest round.
        high: of the fastest.
        packs_ratio: median over rounds of the packs' rate over this way's in the same round.
    """

    workload: str
    way: str
    trials: int
    per_second: float
    low: float
    high: float
    packs_ratio: float


def rates(
    workloads: list[str], *, rounds: int, trials: dict[str, int], on_run: Callable[[], None]
) -> Iterator[Rate]:
    """Rates of every way, interleaved: a slow moment of the machine meets all of them.

    Args:
        workloads: names in `WORKLOADS`.
        rounds: of all ways.
        trials: instead of `TRIALS`, by way.
        on_run: called after each measurement, for a progress bar.
    """
    for workload in workloads:
        counts = {**TRIALS[workload], **trials}
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way in WAYS:
                found[way].append(counts[way] / _seconds(way, workload, counts[way]))
                on_run()
        for way, own in found.items():
            ratios = [ours / other for ours, other in zip(found["packs"], own, strict=True)]
            yield Rate(
                workload=workload,
                way=way,
                trials=counts[way],
                per_second=round(statistics.median(own), 3),
                low=round(min(own), 3),
                high=round(max(own), 3),
                packs_ratio=round(statistics.median(ratios), 2),
            )


def _seconds(way: str, workload: str, trials: int) -> float:
    """In a process of its own: Ray and Tune read their settings once."""
    command = [sys.executable, "-m", "robustness.bench.plain", way, workload, str(trials)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRow:
    """What packing gains on one core, for one row of the planner's table.

    Attributes:
        workload: what was trained.
        chosen: the planner's technique; None is one at a time.
        size: the planner's pack.
        insgd: time of a pack of INSGD over that of momentum SGD, median over rounds.
        sequential: trials a second, one at a time.
        ratios: of each technique's trials a second to that, medians over rounds.
    """

    workload: str
    chosen: str | None
    size: int
    insgd: float | None
    sequential: float
    ratios: dict[str, float]


def plan(*, rounds: int, on_run: Callable[[], None]) -> Iterator[PlanRow]:
    """Measure the planner's table on this machine's CPU, one thread, the techniques in turn.

    Args:
        rounds: of all techniques.
        on_run: called after each measurement, for a progress bar.
    """
    import torch

    from robustness.training.packed import Technique

    torch.set_num_threads(1)
    for workload, task in plan_tasks().items():
        trials, chosen, size = _planned(task, {"name": "sgd", "momentum": 0.9})
        insgd = _planned(task, {"name": "insgd"})[0]
        times: dict[str, list[float]] = {"": [], **{technique: [] for technique in get_args(Technique)}}
        shares: list[float] = []
        for number in range(rounds + 1):
            if chosen and number:
                shares.append(_timed(chosen, insgd) / _timed(chosen, trials))
            for technique, own in list(times.items()):
                try:
                    seconds = _timed(technique, trials)
                except TypeError:  # the technique does not run this model
                    del times[technique]
                    continue
                if number:  # the first reads data and warms up
                    own.append(seconds)
                on_run()
        alone = times.pop("")
        yield PlanRow(
            workload=workload,
            chosen=chosen,
            size=size,
            insgd=round(statistics.median(shares), 2) if shares else None,
            sequential=round(1 / statistics.median(alone), 2),
            ratios={
                technique: round(statistics.median(a / b for a, b in zip(alone, own, strict=True)), 2)
                for technique, own in times.items()
            },
        )


def plan_tasks() -> dict[str, dict[str, Any]]:
    """The rows: models by input size and norm."""
    small = {"data": "synthetic", "channels": 1, "train_size": 320, "validation_size": 64, "test_size": 64}
    image = {**small, "model": "toy-cnn", "batch_size": 64}
    found = {
        f"mlp width {width}": {**small, "side": 8, "model": "mlp", "width": width} for width in (64, 512)
    }
    for side in (8, 16, 28):
        for norm in ("none", "batch"):
            found[f"toy-cnn {side}x{side} {norm}"] = {**image, "side": side, "norm": norm}
    others = (
        (8, 16, "none"),
        (8, 512, "none"),
        (16, 16, "none"),
        (16, 16, "batch"),
        (16, 256, "none"),
        (20, 32, "none"),
    )
    for side, batch, norm in others:
        found[f"toy-cnn {side}x{side} {norm}, {batch} a batch"] = {
            **image,
            "side": side,
            "norm": norm,
            "batch_size": batch,
            "train_size": 1024,
        }
    found["toy-cnn 3x32x32"] = {**image, "channels": 3, "side": 32}
    found["resnet20 3x32x32"] = {**image, "model": "resnet20", "norm": "batch", "channels": 3, "side": 32}
    return found


def _planned(task: dict[str, Any], optimizer: dict[str, Any]) -> tuple[list[Any], str | None, int]:
    from robustness.spec import expand, parse
    from robustness.sweep.packing import largest_pack, technique_of

    spec = {
        "name": "plan",
        "tasks": [{"batch_size": 64, "epochs": 3, **task}],  # of one, a third would be the starting loss
        "optimizers": [optimizer],
        "search": {"lr": 0.01, "seeds": 64},
    }
    trials = [trial for trial, _ in expand(parse(spec)).trials()]
    technique = technique_of(trials[0], "cpu")
    size = 1 if technique is None else largest_pack(trials[0].cell.task)
    return trials[: max(size, 2)], technique, size


def _timed(technique: Any, trials: list[Any]) -> float:
    """Seconds a trial."""
    from robustness.training import train, train_pack

    began = time.perf_counter()
    if technique:
        list(train_pack(trials, technique=technique, root=Path()))
        return (time.perf_counter() - began) / len(trials)
    train(trials[0], root=Path())
    return time.perf_counter() - began
