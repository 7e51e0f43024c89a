"""Which axis decides: the share of variance of the score, and of divergence, that each explains."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from robustness.summary.cubes import Cube
from robustness.summary.flags import Flag, Remark
from robustness.summary.rows import MetricRow, Raw, declare
from robustness.summary.study import Study

__all__ = [
    "MOST",
    "Design",
    "Importance",
    "designs",
    "factorial_shares",
    "importance_rows",
    "importances",
    "sampled_shares",
]

Floats = npt.NDArray[np.float64]
Of = Literal["score", "divergence"]
"""What is explained: S, or whether a trial diverged."""

_AXES = ("seed", "init", "lr")
"""Of a cube."""
TREES = 32  # of the forest; half of Optuna's own number, as it takes seconds
MOST = 2_000
"""Trials that a forest is fitted on."""
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

    Of more than `MOST` lines the forest sees as many, drawn without replacement: its time grows faster than they do.

    Args:
        settings: one column a setting, numbers > 0 spread over decades taken as logarithms.
        values: one for each line; finite.
        seed: of the forest, and of the lines that it sees.

    Returns:
        Shares by name, largest first; empty where all values are equal.

    Source: Hutter et al. 2014, by optuna.importance.FanovaImportanceEvaluator.
    """
    if len(values) > MOST:
        seen = np.sort(np.random.default_rng(seed).choice(len(values), MOST, replace=False))
        settings, values = settings.iloc[seen], values[seen]
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


@dataclass(frozen=True, kw_only=True)
class Design:
    """What there is to explain, before anything is computed.

    Attributes:
        task: its label.
        optimizer: its label; None over all of the task.
        seeds: S; trials where learning rates were drawn.
        trials: complete ones.
        axes: of the full grid, in the order of the values' axes; empty where it is none.
        settings: of what is no full grid, one line a trial; without columns where it is too small for a forest.
        values: of each `Of`, over the axes or one for each line.
        why: why there is nothing to compute; None where there is.
    """

    task: str
    optimizer: str | None
    seeds: int
    trials: int
    axes: tuple[str, ...] = ()
    settings: pd.DataFrame = field(default_factory=pd.DataFrame)
    values: Mapping[Of, Floats] = field(default_factory=dict)
    why: Remark | None = None

    @property
    def is_sampled(self) -> bool:
        """Whether shares come from a forest, which takes seconds."""
        return not self.axes and any(self.varies(of) for of in self.values)

    @property
    def how(self) -> tuple[Remark, ...]:
        """How shares are computed where not exactly."""
        trials = len(self.settings)
        return () if self.axes else (Remark(Flag.BY_FOREST, (min(trials, MOST), trials)),)

    def varies(self, of: Of) -> bool:
        """Whether there is a variance to explain."""
        return of in self.values and float(np.ptp(self.values[of])) > 0

    def shares(self, of: Of) -> dict[str, float]:
        """By axis, pair (`lr x init`) and `rest`; empty where there is nothing to explain."""
        if not self.varies(of):
            return {}
        if not self.axes:
            return sampled_shares(self.settings, self.values[of])
        values = self.values[of]
        long = [place for place, size in enumerate(values.shape) if size > 1]
        return factorial_shares(values.squeeze(), [self.axes[place] for place in long])


def designs(study: Study, samples: Sequence[Cube]) -> Iterator[Design]:
    """Of each task over all optimizers, where it has several, and of each optimizer.

    Args:
        study: for the settings of a random design.
        samples: its cubes.
    """
    for task in dict.fromkeys(cube.task for cube in samples):
        own = [cube for cube in samples if cube.task == task]
        if len(own) > 1:
            yield _over_optimizers(task, own)
        for cube in own:
            yield _of_one(study, cube)


def _over_optimizers(task: str, own: Sequence[Cube]) -> Design:
    trials = sum(_trials(cube) for cube in own)
    alike = {(cube.inits, tuple(cube.lrs_L), tuple(cube.seeds_S), cube.missing) for cube in own}
    found = Design(task=task, optimizer=None, seeds=own[0].shape[0], trials=trials)
    if len(alike) > 1 or own[0].missing:
        return replace(found, why=Remark(Flag.NO_COMMON_GRID))
    axes, _ = _split(own[0], own[0].score_SIL)
    score = np.stack([_split(cube, cube.score_SIL[..., cube.designed_L])[1] for cube in own])
    diverged = np.stack([_split(cube, cube.diverged_SIL[..., cube.designed_L])[1] for cube in own])
    return replace(found, axes=("optimizer", *axes), values={"score": score, "divergence": diverged})


def _split(cube: Cube, values_SIL: Floats) -> tuple[tuple[str, ...], Floats]:
    """The axes of a cube's values, weights and data orders apart where the seeds are their full crossing."""
    weights = len(np.unique(cube.weights_S))
    if cube.orders == 1 or weights * cube.orders != len(cube.seeds_S):
        return _AXES, values_SIL
    return ("seed", "order", "init", "lr"), values_SIL.reshape(weights, cube.orders, *values_SIL.shape[1:])


def _trials(cube: Cube) -> int:
    return cube.score_SIL.size - cube.missing


def _of_one(study: Study, cube: Cube) -> Design:
    found = Design(task=cube.task, optimizer=cube.optimizer, seeds=cube.shape[0], trials=_trials(cube))
    if not cube.missing:
        values: dict[Of, Floats] = {
            "score": _split(cube, cube.score_SIL[..., cube.designed_L])[1],
            "divergence": _split(cube, cube.diverged_SIL[..., cube.designed_L])[1],
        }
        return replace(found, axes=_split(cube, cube.score_SIL)[0], values=values)
    part = study.complete[
        (study.complete["task"] == cube.task) & (study.complete["optimizer"] == cube.optimizer)
    ]
    if len(part) < SMALLEST:
        return replace(found, why=Remark(Flag.NOT_A_FULL_GRID, (SMALLEST,)))
    settings = study.settings.loc[part.index].assign(lr=part["lr"], init=pd.factorize(part["init"])[0])
    if not cube.binned:  # else each trial is a seed of its own
        settings = settings.assign(seed=part["seed_index"])
    return replace(
        found,
        settings=settings[settings.columns[settings.notna().all() & (settings.nunique() > 1)]],
        values={
            "score": part["score"].to_numpy(dtype=float),
            "divergence": (part["side"] == "diverged").to_numpy().astype(float),
        },
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """The share of the variance of one quantity that each axis explains.

    Attributes:
        design: of which trials.
        of: what is explained.
        shares: by axis, pair (`lr x init`) and `rest`; of a forest single axes only; empty where there are none.
        remarks: how they were computed where not exactly, or why there are none.
    """

    design: Design
    of: Of
    shares: Mapping[str, float]
    remarks: tuple[Remark, ...]


def importances(study: Study, samples: Sequence[Cube]) -> Iterator[Importance]:
    """Of the score and of divergence, for each of `designs`; forests take seconds.

    Args:
        study: for the settings of a random design.
        samples: its cubes.
    """
    targets: tuple[Of, ...] = ("score", "divergence")
    for design in designs(study, samples):
        for of in targets:
            shares = design.shares(of)
            remarks = design.how if shares else (design.why or Remark(Flag.ALL_VALUES_EQUAL),)
            yield Importance(design=design, of=of, shares=shares, remarks=remarks)


@declare(
    "importance",
    "share of the variance that an axis explains",
    title="Importance",
    unit="share",
    better="",
    scope="study",
)
def _importance(_: str) -> Iterator[Raw]:
    """Declared here, and computed by `importance_rows`: it has no resamples."""
    yield from ()


def importance_rows(study: Study) -> list[MetricRow]:
    """The metric `importance`: of each task over all optimizers ("all"), and of each optimizer."""
    return [
        MetricRow(
            metric="importance",
            task=found.design.task,
            optimizer=found.design.optimizer or "all",
            init=None,
            value=share,
            low=math.nan,
            high=math.nan,
            n=found.design.seeds,
            unit="share",
            remarks=found.remarks,
            at=f"{axis} for {found.of}" if axis else f"for {found.of}",
        )
        for found in importances(study, study.grid.cubes)
        for axis, share in (found.shares or {"": math.nan}).items()
    ]
