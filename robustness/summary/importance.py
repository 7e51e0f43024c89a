"""Which axis decides: the share of variance of the score, and of divergence, that each explains."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from robustness.summary.cubes import Cube
from robustness.summary.frame import Study
from robustness.summary.rows import MetricRow

__all__ = ["factorial_shares", "importance_rows", "sampled_shares"]

Floats = npt.NDArray[np.float64]

_AXES = ("seed", "init", "lr")
"""Of a cube."""
TREES = 32  # of the forest; half of Optuna's own number, as it takes seconds
SMALLEST = 20
"""Trials of a random design below which no forest is fitted."""


def factorial_shares(values: Floats, names: Sequence[str]) -> dict[str, float]:
    """The share of variance of each axis and each pair of axes of a full grid, exactly.

    The functional analysis of variance: means over all other axes, less what lower terms explain. Shares of
    single axes, pairs and higher terms (`rest`) sum to 1.

    Args:
        values: one axis of the array for each name; no NaN.
        names: of the axes.

    Returns:
        `lr`, `lr x init`, ..., `rest`; empty where all values are equal.

    Raises:
        ValueError: as many names as axes, and no missing value.

    >>> factorial_shares(np.array([[0.0, 0.0], [1.0, 1.0]]), ["lr", "seed"])
    {'lr': 1.0, 'seed': 0.0, 'lr x seed': 0.0, 'rest': 0.0}
    """
    if values.ndim != len(names) or np.isnan(values).any():
        raise ValueError("values must have an axis for each name and nothing missing")
    scale = np.abs(values).max(initial=0.0)
    centred = values / scale - (values / scale).mean() if scale > 0 else values
    total = float(np.mean(centred**2))
    if not total > 1e-20:
        return {}
    axes = range(values.ndim)
    mains = [centred.mean(axis=tuple(other for other in axes if other != a), keepdims=True) for a in axes]
    found = {name: float(np.mean(main**2)) / total for name, main in zip(names, mains, strict=True)}
    for a, b in itertools.combinations(axes, 2):
        both = centred.mean(axis=tuple(other for other in axes if other not in (a, b)), keepdims=True)
        found[f"{names[a]} x {names[b]}"] = float(np.mean((both - mains[a] - mains[b]) ** 2)) / total
    rest = 1 - math.fsum(found.values())
    return {
        **{name: round(max(share, 0.0), 12) for name, share in found.items()},
        "rest": round(max(rest, 0.0), 12),
    }


def sampled_shares(settings: pd.DataFrame, values: Floats, seed: int = 0) -> dict[str, float]:
    """The share of variance of each setting of a random design, by Optuna's fANOVA.

    Args:
        settings: one column a setting, numbers > 0 spread over decades taken as logarithms.
        values: one for each line; finite.
        seed: of the forest.

    Returns:
        Shares by name, largest first; empty where all values are equal.

    Source: Hutter et al. 2014, by optuna.importance.FanovaImportanceEvaluator.
    """
    if np.ptp(values) == 0:
        return {}
    # Imported here: the read side needs Optuna for this alone.
    import optuna
    from optuna.distributions import BaseDistribution, FloatDistribution
    from optuna.importance import FanovaImportanceEvaluator

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    spread = {name: _is_logarithmic(settings[name]) for name in settings}
    distributions: dict[str, BaseDistribution] = {
        str(name): FloatDistribution(
            float(settings[name].min()), float(settings[name].max()), log=spread[name]
        )
        for name in settings
    }
    for line, value in zip(settings.to_dict("records"), values, strict=True):
        parameters = {str(name): float(number) for name, number in line.items()}
        study.add_trial(
            optuna.trial.create_trial(params=parameters, distributions=distributions, value=float(value))
        )
    shares = FanovaImportanceEvaluator(n_trees=TREES, seed=seed).evaluate(study)
    return {str(name): float(share) for name, share in shares.items()}


def _is_logarithmic(values: pd.Series[float]) -> bool:
    return bool(values.min() > 0 and values.max() / values.min() >= 30)


def importance_rows(study: Study, samples: Sequence[Cube]) -> list[MetricRow]:
    """Importance of each axis for the score and for divergence: of each task over all, and of each optimizer.

    Args:
        study: for the settings of a random design.
        samples: its cubes.
    """
    found: list[MetricRow] = []
    for task in dict.fromkeys(cube.task for cube in samples):
        own = [cube for cube in samples if cube.task == task]
        if len(own) > 1:
            found += _rows(task, "all", own[0].shape[0], _over_optimizers(own))
        for cube in own:
            found += _rows(task, cube.optimizer, cube.shape[0], _of_one(study, cube))
    return found


_Shares = dict[str, tuple[dict[str, float], str]]
"""Of the score and of divergence: the shares, and a note."""
_NO_DESIGN = f"not a full grid, and fewer than {SMALLEST} trials for a forest"
_EQUAL = "all values are equal"


def _over_optimizers(own: Sequence[Cube]) -> _Shares:
    alike = {(cube.inits, tuple(cube.lrs_L), tuple(cube.seeds_S), cube.missing) for cube in own}
    if len(alike) > 1 or own[0].missing:
        return dict.fromkeys(("score", "divergence"), ({}, "optimizers have no common full grid"))
    return {
        "score": _exact(np.stack([cube.score_SIL for cube in own]), ("optimizer", *_AXES)),
        "divergence": _exact(np.stack([cube.diverged_SIL for cube in own]), ("optimizer", *_AXES)),
    }


def _of_one(study: Study, cube: Cube) -> _Shares:
    if not cube.missing:
        return {"score": _exact(cube.score_SIL, _AXES), "divergence": _exact(cube.diverged_SIL, _AXES)}
    part = study.complete[
        (study.complete["task"] == cube.task) & (study.complete["optimizer"] == cube.optimizer)
    ]
    if len(part) < SMALLEST:
        return dict.fromkeys(("score", "divergence"), ({}, _NO_DESIGN))
    settings = study.settings.loc[part.index].assign(lr=part["lr"], init=pd.factorize(part["init"])[0])
    if not cube.binned:  # else each trial is a seed of its own
        settings = settings.assign(seed=part["seed_index"])
    known = settings[settings.columns[settings.notna().all() & (settings.nunique() > 1)]]
    found: _Shares = {}
    for of, values in (("score", part["score"]), ("divergence", part["side"] == "diverged")):
        shares = sampled_shares(known, np.asarray(values, dtype=float))
        found[of] = (shares, "not a full grid: Optuna's fANOVA, single axes" if shares else _EQUAL)
    return found


def _exact(values: Floats, names: Sequence[str]) -> tuple[dict[str, float], str]:
    axes = [place for place, size in enumerate(values.shape) if size > 1]
    shares = factorial_shares(values.squeeze(), [names[place] for place in axes]) if axes else {}
    return shares, "" if shares else _EQUAL


def _rows(task: str, optimizer: str, n: int, found: _Shares) -> Iterator[MetricRow]:
    for of, (shares, note) in found.items():
        for axis, share in (shares or {"": math.nan}).items():
            yield MetricRow(
                metric="importance",
                task=task,
                optimizer=optimizer,
                init=None,
                value=share,
                low=math.nan,
                high=math.nan,
                n=n,
                unit="share",
                note=note,
                at=f"{axis} for {of}" if axis else f"for {of}",
            )
