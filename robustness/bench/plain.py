"""The same trials as a user of PyTorch and Ray Tune would write them: what packs are measured against.

Run as a program it does one measurement and prints its seconds: python -m robustness.bench.plain WAY WORKLOAD TRIALS
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["WAYS", "WORKLOADS"]

WORKLOADS: dict[str, dict[str, Any]] = {
    "mlp digits": {"data": "digits", "model": "mlp", "epochs": 10},
    "toy-cnn 8x8": {"data": "digits", "model": "toy-cnn", "epochs": 5},
    "toy-cnn 16x16": {"data": "synthetic", "channels": 1, "side": 16, "model": "toy-cnn", "epochs": 3},
    "toy-cnn 28x28": {"data": "synthetic", "channels": 1, "side": 28, "model": "toy-cnn", "epochs": 2},
}
_SIZES = {"train_size": 1_257, "validation_size": 180, "test_size": 360}
PROCESSES = 2


def study(workload: str, trials: int) -> dict[str, Any]:
    """A study of so many trials of momentum SGD, as plain data; its learning rates train."""
    task = {"batch_size": 64, **WORKLOADS[workload]}
    if task["data"] == "synthetic":
        task |= _SIZES
    seeds = min(8, trials)
    return {
        "name": "bench",
        "tasks": [task],
        "optimizers": [{"name": "sgd", "momentum": 0.9}],
        "search": {"lr": {"low": 1e-3, "high": 0.1, "points": max(trials // seeds, 2)}, "seeds": seeds},
    }


def train_plainly(workload: str, lr: float, seed: int, report: Callable[[dict[str, float]], None]) -> None:
    """A training loop like any other: PyTorch's own classes, one figure of each kind an epoch."""
    import torch
    from torch.nn import functional as F  # noqa: N812  torch's own convention

    from robustness.spec import expand, parse
    from robustness.tasks import build_model, load

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    task = expand(parse(study(workload, 2))).tasks[0].config
    data = load(task.data, Path())
    model = build_model(task)
    if task.model.name != "mlp":
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for _ in range(task.epochs):
        model.train()
        for index in torch.randperm(len(data.train)).split(task.batch_size):
            if len(index) == task.batch_size:
                loss = F.cross_entropy(model(data.train.inputs[index]), data.train.labels[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        model.eval()
        found = {"train_loss": loss.item()}
        with torch.no_grad():
            for part, split in (("validation", data.validation), ("test", data.test)):
                logits = model(split.inputs)
                found[f"{part}_loss"] = F.cross_entropy(logits, split.labels).item()
                found[f"{part}_accuracy"] = (logits.argmax(1) == split.labels).float().mean().item()
        report(found)


# -- ways: seconds for so many trials, start of Ray and of processes excluded ----------------------


def _tune(workload: str, trials: int, *, lean: bool) -> float:
    if lean:
        os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    import tempfile

    import ray
    from ray import tune

    def trainable(config: dict[str, Any]) -> None:
        train_plainly(workload, config["lr"], config["seed"], tune.report)

    with tempfile.TemporaryDirectory(dir="/tmp", prefix="rb-") as folder:
        ray.init(address="local", include_dashboard=False, log_to_driver=False, _temp_dir=f"{folder}/r")
        tuner = tune.Tuner(
            trainable,
            param_space={"lr": tune.loguniform(1e-3, 0.1), "seed": tune.randint(0, 1_000)},
            tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=lean),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        began = time.perf_counter()
        tuner.fit()
        seconds = time.perf_counter() - began
        ray.shutdown()
    return seconds


def plain_tune(workload: str, trials: int) -> float:
    """Ray Tune's tutorial: a function trainable, one trial each, everything at its default."""
    return _tune(workload, trials, lean=False)


def lean_tune(workload: str, trials: int) -> float:
    """The same with actors used again and no loggers."""
    return _tune(workload, trials, lean=True)


def loops(workload: str, trials: int) -> float:
    """Two processes, each a loop over half of the trials."""
    import multiprocessing as mp

    context = mp.get_context("spawn")
    barrier = context.Barrier(PROCESSES + 1)
    parts = [range(i, trials, PROCESSES) for i in range(PROCESSES)]
    processes = [context.Process(target=_loop, args=(workload, part, barrier)) for part in parts]
    for process in processes:
        process.start()
    barrier.wait()
    began = time.perf_counter()
    for process in processes:
        process.join()
    return time.perf_counter() - began


def _loop(workload: str, seeds: range, barrier: Any) -> None:
    train_plainly(workload, 0.01, 0, lambda _: None)  # imports and data are not what is measured
    barrier.wait()
    for seed in seeds:
        train_plainly(workload, 0.01, seed, lambda _: None)


def packed(workload: str, trials: int) -> float:
    """Ours, every record in an SQLite store."""
    import tempfile

    from robustness.spec import expand, parse
    from robustness.store import open_store
    from robustness.sweep.runner import run_study

    spec = parse(study(workload, trials))
    with (
        tempfile.TemporaryDirectory(prefix="rb-") as folder,
        open_store(f"sqlite:///{folder}/store.db", create=True) as store,
    ):
        return run_study(store, spec, expand(spec), root=Path(), quiet=True).seconds


WAYS: dict[str, Callable[[str, int], float]] = {
    "plain tune": plain_tune,
    "lean tune": lean_tune,
    "two loops": loops,
    "packs": packed,
}

if __name__ == "__main__":
    way, workload, count = sys.argv[1:]
    print(json.dumps(WAYS[way](workload, int(count))))
