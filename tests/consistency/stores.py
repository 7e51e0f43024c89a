"""Ten stores, one of each kind of study, without training."""

from __future__ import annotations

import csv
import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from robustness.importers import import_logs, surveyed
from robustness.store import open_store
from robustness.summary import load_study
from robustness.trial import Trial, TrialRecord
from tests.builders import dead_epoch, epoch, record
from tests.summary.test_chosen import MOMENTUM, diverged, momentum, of, ran, trained

__all__ = ["KINDS", "StudyStore", "make_store"]

DATA = Path(__file__).parents[1] / "data"
QUICKSTART_SPEC = Path(__file__).parents[2] / "studies" / "quickstart.toml"
SEEDS = 4
SGD_AND_ADAM = [{"name": "sgd"}, {"name": "adam"}]
BOTH_INITS = ["default", "orthogonal"]


@dataclass(frozen=True)
class StudyStore:
    """A store with one study.

    Attributes:
        url: of the store.
        study: the study's name.
    """

    url: str
    study: str


def make_store(kind: str, folder: Path) -> StudyStore:
    """The store of one of `KINDS`, in this folder."""
    url = f"sqlite:///{folder / 'store.db'}"
    return StudyStore(url=url, study=KINDS[kind](folder))


def _imported(folder: Path, format_: str, path: Path) -> str:
    logs = surveyed(format_, path, name="logs")
    with open_store(f"sqlite:///{folder / 'store.db'}", create=True) as store:
        import_logs(store, logs)
        return load_study(store, "logs").name


def _ends_at(last_lr: dict[str, float], best_lr: dict[str, float]) -> Callable[[Trial], TrialRecord]:
    """Trials that train best at one learning rate and diverge above another, seed by seed and by initialization."""

    def result(trial: Trial) -> TrialRecord:
        optimizer = trial.cell.optimizer.name
        shift = 10 ** (0.3 * (trial.seed_index % 3) - 0.4 * (trial.cell.init.name != "default"))
        if trial.cell.lr > last_lr[optimizer] * shift:
            return diverged(trial)
        away = abs(math.log10(trial.cell.lr / best_lr[optimizer]))
        accuracy = 0.95 - 0.1 * away - 0.003 * ((7 * trial.seed_index) % 5)
        return trained(trial, accuracy if accuracy > 0.6 else 0.1)

    return result


SGD_ENDS_LATER = _ends_at({"sgd": 1.5, "adam": 0.15}, {"sgd": 0.5, "adam": 0.02})


def _quickstart(folder: Path) -> str:
    """The committed outcomes of the quickstart: its spec, fewer seeds and every third learning rate."""
    with (DATA / "outcomes" / "quickstart.csv").open() as file:
        rows = {
            (row["optimizer"], row["init"], f"{float(row['lr']):.3g}", int(row["seed_index"])): row
            for row in csv.DictReader(file)
        }
    plain = tomllib.loads(QUICKSTART_SPEC.read_text())
    lrs = sorted({float(row["lr"]) for row in rows.values()})[::3]
    plain["search"] |= {"lr": lrs, "seeds": SEEDS}
    labels = {
        **{("sgd", m): "momentum" if m else "sgd" for m in (0.0, 0.9)},
        ("insgd", 0.9): "insgd",
        ("adam", 0.0): "adam",
    }

    def result(trial: Trial) -> TrialRecord:
        arguments = dict(trial.cell.optimizer.arguments)
        optimizer = labels[trial.cell.optimizer.name, float(arguments.get("momentum") or 0.0)]  # type: ignore[arg-type]
        inits = {str(dict(trial.cell.init.arguments).get("std")): trial.cell.init.name}
        init = {"0.01": "normal std=0.01", "2.0": "normal std=2 (bad)"}.get(*inits.keys(), *inits.values())
        row = rows[optimizer, init, f"{trial.cell.lr:.3g}", trial.seed_index]
        earlier, last = (
            {"test_accuracy": _number(row[name])} for name in ("max_earlier_score", "test_accuracy")
        )
        l0, least_loss, loss = (_number(row[name]) for name in ("l0", "min_train_loss", "train_loss"))
        if math.isnan(loss):
            return record(trial, epoch(1, **earlier), dead_epoch(2), l0=l0, step=3)
        epochs = (
            epoch(1, train_loss=least_loss, validation_accuracy=0.0, **earlier),
            epoch(2, train_loss=loss, validation_accuracy=last["test_accuracy"], **last),
        )
        return record(trial, *epochs, l0=l0)

    return ran(folder, plain, result).name


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _edge(folder: Path) -> str:
    plain = of(sampler="edge", seeds=SEEDS, init=BOTH_INITS, optimizers=SGD_AND_ADAM)
    return ran(folder, plain, SGD_ENDS_LATER).name


def _tpe(folder: Path) -> str:
    plain = of(sampler="tpe", budget=12, optimizers=[MOMENTUM, {"name": "adam"}], init=BOTH_INITS)
    return ran(folder, plain, SGD_ENDS_LATER).name


def _qmc(folder: Path) -> str:
    def result(trial: Trial) -> TrialRecord:
        away = abs(math.log10(trial.cell.lr / 0.1))
        return (
            diverged(trial)
            if trial.cell.lr > 3
            else trained(trial, 0.95 - 0.1 * away - 0.1 * momentum(trial))
        )

    plain = of(sampler="qmc", budget=40, seeds=3, optimizers=[MOMENTUM])
    return ran(folder, plain, result).name


def _refine(folder: Path) -> str:
    search = {"lr": [0.01, 0.1, 1.0, 10.0], "seeds": SEEDS, "init": BOTH_INITS, "confirm": 4}
    plain = of(sampler="refine", budget=4, optimizers=SGD_AND_ADAM, **search)
    return ran(folder, plain, _and_some_fresh_seeds_fail).name


def _and_some_fresh_seeds_fail(trial: Trial) -> TrialRecord:
    return diverged(trial) if trial.seed_index == SEEDS + 1 else SGD_ENDS_LATER(trial)


def _crossed(folder: Path) -> str:
    plain = of(lr=[0.01, 0.1, 1.0, 10.0], seeds=6, orders=2, optimizers=SGD_AND_ADAM)
    return ran(folder, plain, SGD_ENDS_LATER).name


def _loss(folder: Path) -> str:
    """A study of losses with validation losses; some trials are missing, some did not stay finite."""
    header = "task,score,optimizer,init,lr,seed,l0,train_loss,validation_loss,test_loss,constant_loss"
    lines = [header]
    for (o, optimizer), init, lr, seed in (
        (numbered, init, lr, seed)
        for numbered in enumerate(("sgd", "adam"))
        for init in ("small", "large")
        for lr in (0.001, 0.01, 0.1, 1.0)
        for seed in range(SEEDS)
        if (numbered[1], lr, seed) != ("adam", 0.1, 3)
    ):
        loss = 1.0 + 0.4 * abs(math.log10(lr / 0.01)) + 0.1 * o + 0.02 * seed + 0.05 * (init == "large")
        dead = lr == 1.0 and (seed > 0 or optimizer == "adam")
        numbers = "nan,nan,nan" if dead else f"{loss:.4f},{loss + 0.01:.4f},{loss + 0.02:.4f}"
        lines.append(f"text,loss,{optimizer},{init},{lr},{seed},4.2,{numbers},4.1")
    path = folder / "losses.csv"
    path.write_text("\n".join(lines))
    return _imported(folder, "csv", path)


def _all_diverged(folder: Path) -> str:
    return ran(folder, of(lr=[0.1, 1.0], optimizers=SGD_AND_ADAM, init=BOTH_INITS), diverged).name


KINDS: dict[str, Callable[[Path], str]] = {
    "quickstart": _quickstart,
    "edge": _edge,
    "tpe": _tpe,
    "qmc with a second range": _qmc,
    "refine with confirm": _refine,
    "crossed orders": _crossed,
    "DeepOBS sample": lambda folder: _imported(folder, "deepobs", DATA / "imports" / "deepobs"),
    "opda sample": lambda folder: _imported(folder, "opda", DATA / "imports" / "opda"),
    "losses": _loss,
    "all diverged": _all_diverged,
}
"""What makes each store; the name of its study."""
