"""Comparisons of two optimizers of a study: on every task, by several metrics, corrected for their number; single cells."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from robustness.errors import SpecError, check_known, nearest
from robustness.spec import COMPARABLE
from robustness.summary.chosen import not_meant, sampler_of
from robustness.summary.comparison.contrasts import RATES
from robustness.summary.comparison.paired import least_p, mcnemar_exact, newcombe_paired
from robustness.summary.comparison.pairing import Pair, paired
from robustness.summary.comparison.power import ALPHA
from robustness.summary.comparison.result import Comparison, corrected
from robustness.summary.comparison.testing import compared, nothing
from robustness.summary.cubes import cubes
from robustness.summary.flags import Flag, Remark
from robustness.summary.frame import Study
from robustness.summary.measure import resampled
from robustness.summary.resampled import Resampled
from robustness.summary.rows import DEFAULT_DELTA, METRICS, Delta

__all__ = ["check_comparable", "checked_names", "compare", "compare_all", "compare_cell", "compare_samples"]

MCNEMAR = "exact McNemar test"


def compare(
    study: Study,
    a: str,
    b: str,
    metric: str,
    *,
    delta: Delta = DEFAULT_DELTA,
    task: str | None = None,
    init: str | None = None,
    each_init: bool = False,
) -> list[Comparison]:
    """Compare two optimizers by one metric: one comparison a task, corrected for their number.

    Args:
        study: classified.
        a: label of an optimizer.
        b: label of another.
        metric: of `spec.COMPARABLE`; how it is compared says `testing.compared`.
        delta: of the tolerance windows.
        task: this one only.
        init: on this one only; else pooled over those that both have.
        each_init: one comparison an initialization instead of one pooled.

    Raises:
        SpecError: an unknown name, with the nearest.
    """
    return compare_all(study, a, b, [metric], delta=delta, task=task, init=init, each_init=each_init)


def compare_all(
    study: Study,
    a: str,
    b: str,
    metrics: Sequence[str],
    *,
    delta: Delta = DEFAULT_DELTA,
    task: str | None = None,
    init: str | None = None,
    each_init: bool = False,
) -> list[Comparison]:
    """As `compare`, by several metrics, corrected for all of them together."""
    checked_names(study, a, b, metrics, task=task, init=init)
    found = []
    tasks = list(study.tasks) if task is None else [task]
    samples = resampled(study, cubes(study))
    for metric in dict.fromkeys(metrics):
        for label in tasks:
            names = [init] if init is not None or not each_init else _inits(study, label, (a, b))
            found += compare_samples(samples, a, b, metric, study=study, task=label, inits=names, delta=delta)
    return corrected(found)


def compare_samples(
    samples: Sequence[Resampled],
    a: str,
    b: str,
    metric: str,
    *,
    study: Study,
    task: str,
    inits: Sequence[str | None],
    delta: Delta,
) -> list[Comparison]:
    """Comparisons on one task before any correction, from optimizers that are resampled already.

    Args:
        samples: every optimizer on every task.
        a: label of an optimizer.
        b: label of another.
        metric: of `spec.COMPARABLE`.
        study: for what its sampler allows.
        task: label.
        inits: labels; None is all of them, pooled.
        delta: of the tolerance windows.
    """
    sides = {side.cube.optimizer: side for side in samples if side.cube.task == task}
    refused = _refusal(study, metric)
    remarks = [refused] if refused else []
    remarks += [
        Remark(Flag.NOTHING_COMPLETE, (which,)) for which, name in enumerate((a, b)) if name not in sides
    ]
    if remarks:
        return [nothing((task, init, metric, a, b), remarks[0]) for init in inits]
    return [compared(metric, sides[a], sides[b], delta=delta, init=init) for init in inits]


def _refusal(study: Study, metric: str) -> Remark | None:
    sampler = sampler_of(study.spec)
    if not not_meant(metric, sampler):
        return None
    return Remark(Flag.CHOSEN_BY_EDGE if sampler == "edge" else Flag.CHOSEN_BY_TPE)


def compare_cell(
    study: Study, a: str, b: str, metric: str, *, lr: float, init: str | None = None, task: str | None = None
) -> list[Comparison]:
    """Compare two optimizers' rates in single cells, at the same nominal learning rate: one a task.

    By Newcombe's interval and McNemar's exact test: within a cell each seed is one trial, so no correction for
    seeds is needed. Many cells of one grid are not independent: do not pool them.

    Args:
        study: classified.
        a: label of an optimizer.
        b: label of another.
        metric: a rate.
        lr: learning rate of both.
        init: label; may be left out where there is one.
        task: this one only.

    Raises:
        SpecError: an unknown name, a metric that is no rate, no such learning rate, or several initializations.
    """
    checked_names(study, a, b, [metric], task=task, init=init)
    why = not_meant(metric, sampler_of(study.spec))
    if why:
        raise SpecError.of("--metric", f"{metric} cannot be had: {why}")
    if metric not in RATES:
        raise SpecError.of("--lr", f"a single cell has a rate ({', '.join(RATES)}), no {metric}")
    inits = [init] if init is not None else [str(name) for name in study.trials["init"].unique()]
    if len(inits) > 1:
        raise SpecError.of("--init", f"is needed beside --lr: one of {', '.join(inits)}")
    sides = {(side.cube.task, side.cube.optimizer): side for side in resampled(study, cubes(study))}
    found = []
    for label in study.tasks if task is None else [task]:
        of = (label, inits[0], metric, a, b)
        absent = [which for which, name in enumerate((a, b)) if (label, name) not in sides]
        if absent:
            found.append(replace(nothing(of, Remark(Flag.NOTHING_COMPLETE, (absent[0],))), lr=lr))
            continue
        pair = paired(sides[label, a], sides[label, b], DEFAULT_DELTA, inits[0])
        if isinstance(pair, Flag):
            found.append(replace(nothing(of, Remark(pair)), lr=lr))
        else:
            found.append(_cell(pair, of, lr))
    return corrected(found)


def checked_names(
    study: Study,
    a: str,
    b: str,
    metrics: Collection[str],
    *,
    task: str | None = None,
    init: str | None = None,
) -> None:
    """Check what a comparison names against a study.

    Raises:
        SpecError: unknown optimizer, metric, task or initialization, with the nearest; or twice the same optimizer.
    """
    known = {name: [str(x) for x in study.trials[name].unique()] for name in ("optimizer", "init")}
    asked = [("optimizer", a, known["optimizer"]), ("optimizer", b, known["optimizer"])]
    asked += [("--task", task, list(study.tasks))] if task is not None else []
    asked += [("--init", init, known["init"])] if init is not None else []
    for path, name, names in asked:
        check_known(path, name, names)
    for metric in metrics:
        check_comparable(metric)
    if a == b:
        raise SpecError.of("optimizer", f"must be two different ones, got {a!r:.80} twice")


def check_comparable(metric: str) -> None:
    """Check that two optimizers can be compared by a metric.

    Raises:
        SpecError: there is no such metric, or it is of one optimizer alone.
    """
    if metric in METRICS and metric not in COMPARABLE:
        raise SpecError.of("--metric", f"{metric} cannot be compared; {nearest(metric, COMPARABLE)}")
    check_known("--metric", metric, COMPARABLE)


def _inits(study: Study, task: str, optimizers: tuple[str, str]) -> list[str]:
    own = study.trials[(study.trials["task"] == task) & study.trials["optimizer"].isin(optimizers)]
    return [str(name) for name in own["init"].unique()]


def _cell(pair: Pair, of: tuple[str, str | None, str, str, str], lr: float) -> Comparison:
    values = []
    for which, side in enumerate(pair.sides):
        place = int(np.argmin(np.abs(np.log10(side.cube.lrs_L) - math.log10(lr))))
        if not math.isclose(side.cube.lrs_L[place], lr, rel_tol=1e-3):
            lrs = ", ".join(f"{x:g}" for x in side.cube.lrs_L)
            raise SpecError.of("--lr", f"{side.cube.optimizer} has none of {lr:g}; it has {lrs}")
        if not side.cube.designed_L[place]:
            return replace(nothing(of, Remark(Flag.ADDED_LRS_LEFT_OUT, (which, 1))), lr=lr)
        values.append(side.cube.flags(of[2])[:, 0, place])
    known = ~np.isnan(values[0]) & ~np.isnan(values[1])
    if not known.any():
        return replace(nothing(of, Remark(Flag.NO_COMMON_SEED)), lr=lr)
    a_S, b_S = values[0][known], values[1][known]
    table = [int(((a_S == x) & (b_S == y)).sum()) for x, y in ((1, 1), (1, 0), (0, 1), (0, 0))]
    difference, low, high = newcombe_paired(*table)
    p, n = mcnemar_exact(table[1], table[2]), len(a_S)
    few = [Remark(Flag.TOO_FEW_SEEDS_TO_TELL, (least_p(n),))] if least_p(n) >= ALPHA else []
    return replace(
        nothing(of, Remark(Flag.ONLY_ONE_OF_A_PAIR, (table[1], table[2])), *few),
        difference=difference,
        low=low,
        high=high,
        n=n,
        test=MCNEMAR,
        p=p,
        p_holm=p,
        a_value=float(a_S.mean()),
        b_value=float(b_S.mean()),
        sd=float(np.std(a_S - b_S, ddof=1)) if n > 1 else math.nan,
        lr=lr,
    )
