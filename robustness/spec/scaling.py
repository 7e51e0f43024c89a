"""A study shrunk by a stated rule, so that one file runs in a minute, in an hour, or as it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from robustness.catalog import DATASETS, MODELS
from robustness.errors import DataMissing, check_known
from robustness.spec.models import LrRange, StudySpec

__all__ = ["FULL", "SCALES", "Scale", "scaled"]

FULL = "full"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """The most that a shrunk study has of each; what is smaller stays.

    Attributes:
        train: training examples, stratified.
        evaluation: validation examples, and test examples.
        epochs: warm-up and milestones shrink with them.
        seeds: seed indices, each with one data order, and of `confirm`.
        lrs: learning rates, evenly taken from the study's own.
        inits: initializations, the first ones.
        budget: of a sampler.
        large_batch: batch size of models that are large, which get two steps an epoch; None: as all others.
        synthetic: data sets that are not on this machine are replaced by synthetic ones of their shape.
    """

    train: int
    evaluation: int
    epochs: int
    seeds: int
    lrs: int
    inits: int
    budget: int
    large_batch: int | None = None
    synthetic: bool = False

    def __str__(self) -> str:
        """The rule in words."""
        return (
            f"at most {self.train:,} training and {self.evaluation:,} validation and test examples, {self.epochs} "
            f"epoch{'' if self.epochs == 1 else 's'}, {self.seeds} seeds, {self.lrs} learning rates, {self.inits} "
            f"initializations, a budget of {self.budget}"
            + (f", two steps of {self.large_batch} examples for large models" if self.large_batch else "")
        )


SCALES: dict[str, Scale] = {
    "smoke": Scale(
        train=1_000,
        evaluation=500,
        epochs=1,
        seeds=2,
        lrs=3,
        inits=2,
        budget=10,
        large_batch=4,
        synthetic=True,
    ),
    "small": Scale(train=10_000, evaluation=2_000, epochs=3, seeds=5, lrs=11, inits=4, budget=50),
}


def scaled(spec: StudySpec, name: str, root: Path | None = None) -> StudySpec:
    """The study at a scale: another study, with a name, a title and task labels that say so.

    Args:
        spec: whose tables were not checked against the catalog yet; what is not a number there stays.
        name: of `SCALES`, or full.
        root: where data sets are; None: all of them are taken to be there.

    Raises:
        SpecError: there is no such scale.
    """
    if name == FULL:
        return spec
    check_known("--scale", name, [FULL, *SCALES])
    scale = SCALES[name]
    epochs = [table["epochs"] for table in spec.tasks if isinstance(table.get("epochs"), int)]
    ratio = min(scale.epochs / max(epochs), 1.0) if epochs else 1.0
    search = spec.search.model_copy(
        update={
            "lr": _lrs(spec.search.lr, scale.lrs),
            "init": spec.search.init[: scale.inits]
            if isinstance(spec.search.init, list)
            else spec.search.init,
            "seeds": min(spec.search.seeds, scale.seeds),
            "orders": 1,
            "confirm": spec.search.confirm and min(spec.search.confirm, scale.seeds),
            "budget": None if spec.search.budget is None else min(spec.search.budget, scale.budget),
        }
    )
    return spec.model_copy(
        update={
            "name": f"{spec.name[: 63 - len(name)]}-{name}",
            "title": f"{spec.title or spec.name}, shrunk to the scale {name}: {scale}",
            "tasks": [_task(table, scale, name, root) for table in spec.tasks],
            "optimizers": [_optimizer(table, scale, ratio) for table in spec.optimizers],
            "search": search,
        }
    )


def _task(table: dict[str, Any], scale: Scale, name: str, root: Path | None) -> dict[str, Any]:
    found, said = dict(table), name
    if scale.large_batch and any(MODELS.get(m).is_large for m in _listed(table.get("model")) if m in MODELS):
        found["batch_size"] = scale.large_batch
        scale = replace(scale, train=2 * scale.large_batch, evaluation=2 * scale.large_batch)
    if scale.synthetic and root is not None and _is_absent(table.get("data"), root):
        found |= _stand_in(table["data"], scale)
        said = f"{name}, synthetic data"
    found["epochs"] = _each(table.get("epochs", scale.epochs), lambda epochs: min(epochs, scale.epochs))
    known = [entry for entry in _listed(found.get("data")) if entry in DATASETS]
    wholes = [DATASETS.get(entry).facts(_defaults(entry)) for entry in known]
    limits = {"train_size": scale.train, "validation_size": scale.evaluation, "test_size": scale.evaluation}
    for size, most in limits.items():
        limit = max([most, *(whole.classes for whole in wholes)])  # an example of each class
        given = found.get(size, 0)
        # 0 is the whole set.
        if isinstance(given, int) and (given > limit or given == 0) and wholes:
            smallest = min(getattr(whole, size) for whole in wholes)
            if given > limit or smallest > limit:
                found[size] = limit
    if isinstance(found.get("batch_size"), int):
        found["batch_size"] = min(found["batch_size"], scale.train)
    base = table.get("label") or " ".join(
        str(table[k]) for k in ("data", "model") if isinstance(table.get(k), str)
    )
    found["label"] = f"{base} ({said})".strip()
    return found


def _is_absent(data: Any, root: Path) -> bool:
    """Whether a data set that is known, and named alone, is not on this machine."""
    if not isinstance(data, str) or data not in DATASETS:
        return False
    try:
        DATASETS.get(data).require(root)
    except DataMissing:
        return True
    return False


def _stand_in(data: str, scale: Scale) -> dict[str, Any]:
    """Synthetic data of the shape of another set, with as many of its classes as there are examples."""
    facts = DATASETS.get(data).facts(_defaults(data))
    channels, side, _ = facts.shape
    return {
        "data": "synthetic",
        "channels": channels,
        "side": side,
        "classes": min(facts.classes, scale.train, scale.evaluation),
        "train_size": scale.train,
        "validation_size": scale.evaluation,
        "test_size": scale.evaluation,
    }


def _defaults(data: str) -> dict[str, Any]:
    return {argument.name: argument.default for argument in DATASETS.get(data).arguments}


def _optimizer(table: dict[str, Any], scale: Scale, ratio: float) -> dict[str, Any]:
    found = dict(table)
    for field in ("milestones", "warmup_epochs"):
        if field in table:
            found[field] = _each(table[field], lambda epochs: round(epochs * ratio, 6))
    if "lr" in table:
        found["lr"] = _lrs(table["lr"], scale.lrs)
    return found


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    """A number changed, or each of a list once; anything else as it is."""
    if isinstance(value, list):
        return list(
            dict.fromkeys(tuple(x) if isinstance(x, list) else x for x in (_each(v, change) for v in value))
        )
    return change(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _lrs(lr: Any, most: int) -> Any:
    if isinstance(lr, LrRange):
        return lr.model_copy(update={"points": lr.points and min(lr.points, most)})
    if isinstance(lr, dict) and isinstance(lr.get("points"), int):
        return {**lr, "points": min(lr["points"], most)}
    if isinstance(lr, list) and len(lr) > most:
        return [lr[place] for place in np.linspace(0, len(lr) - 1, most).round().astype(int)]
    return lr
