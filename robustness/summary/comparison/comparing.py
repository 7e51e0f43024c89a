"""One optimizer against another on the same seeds: differences, intervals, tests, and seeds that are missing.

The unit is the seed, whole: pooling McNemar's test over a fine grid has 36 % false positives, a test over seeds 5 %.
Learning rates are measured from the middle of each one's own tolerance window; the comparison at nominal learning
rates is kept beside it. Source: METRICS of the design.
"""

# R resamples, S seeds

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from robustness.errors import SpecError, check_known, nearest
from robustness.spec import COMPARABLE
from robustness.summary.comparison.contrasts import RATES, Contrast, contrasted
from robustness.summary.comparison.paired import bootstrap_p, mcnemar_exact, newcombe_paired, seed_test
from robustness.summary.comparison.pairing import Pair, paired
from robustness.summary.comparison.result import Comparison, Nominal, corrected
from robustness.summary.resampled import Resampled
from robustness.summary.resampling import estimates
from robustness.summary.rows import DEFAULT_DELTA, METRICS, Delta
from robustness.summary.sampler_limits import not_meant, sampler_of
from robustness.summary.study import Study

__all__ = [
    "Comparison",
    "Nominal",
    "check_comparable",
    "checked_names",
    "compare",
    "compare_all",
    "compare_cell",
    "corrected",
    "less",
]

Floats = npt.NDArray[np.float64]

BOOTSTRAP, MCNEMAR = "bootstrap of whole seeds", "exact McNemar test"


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

    Rates pair trials of the same seed at learning rates that lie equally far from the middle of each one's
    window, rounded to the grid; a score stands at each one's tuned learning rate. The test is over the seeds'
    paired values, with tuned learning rates and windows of the whole sample: signs flipped up to 12 seeds, else
    paired t. The interval resamples whole seeds, the same for both, and tunes anew in every draw. A window
    belongs to no single seed: its p inverts the bootstrap, and is never below what so few seeds could show.

    Args:
        study: classified.
        a: label of an optimizer.
        b: label of another.
        metric: of `spec.COMPARABLE`.
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
    sides = {(side.cube.task, side.cube.optimizer): side for side in study.resamples}
    found = []
    for metric in dict.fromkeys(metrics):
        for label in study.tasks if task is None else [task]:
            asked = [init] if init is not None or not each_init else _inits(study, label, (a, b))
            pair_of = (sides.get((label, a)), sides.get((label, b)))
            why = not_meant(metric, sampler_of(study.spec))
            found += [
                _nothing((label, each, metric, a, b), why)
                if why
                else _compared(pair_of, (label, each, metric, a, b), delta)
                for each in asked
            ]
    return corrected(found)


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
    sides = {(side.cube.task, side.cube.optimizer): side for side in study.resamples}
    found = []
    for label in study.tasks if task is None else [task]:
        asked = (label, inits[0], metric, a, b)
        pair = _pair(sides.get((label, a)), sides.get((label, b)), (a, b), inits[0], DEFAULT_DELTA)
        found.append(_cell(pair, asked, lr) if isinstance(pair, Pair) else _nothing(asked, pair, lr))
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


_Asked = tuple[str, str | None, str, str, str]
"""Task, init, metric, a, b."""


def _pair(
    a: Resampled | None, b: Resampled | None, labels: tuple[str, str], init: str | None, delta: Delta
) -> Pair | str:
    if a is None or b is None:
        return f"no trial of {labels[0] if a is None else labels[1]} is complete"
    return paired(a, b, delta, init)


def _compared(sides: tuple[Resampled | None, Resampled | None], asked: _Asked, delta: Delta) -> Comparison:
    task, init, metric, a, b = asked
    pair = _pair(*sides, (a, b), init, delta)
    if isinstance(pair, str):
        return _nothing(asked, pair)
    pair, contrast, nominal = contrasted(metric, pair)
    value = _tested(contrast, pair)
    if math.isnan(value["difference"]):
        return replace(_nothing(asked, "; ".join(contrast.notes) or "not defined"), unit=contrast.unit)
    notes = [*contrast.notes, value.pop("note")]
    missing = 0 if pair.a.cube.chosen else pair.a.cube.missing + pair.b.cube.missing
    notes += [f"{missing} squares of seeds have no trial"] if missing else []
    beside = None if nominal is None else _tested(nominal, pair)
    return Comparison(
        task=task,
        init=init,
        metric=metric,
        a=a,
        b=b,
        unit=contrast.unit,
        p_holm=value["p"],
        needed=None,
        a_value=float(contrast.a_R[0]),
        b_value=float(contrast.b_R[0]),
        points=contrast.points,
        relative=contrast.relative,
        nominal=None if beside is None else Nominal(**{k: beside[k] for k in Nominal.__slots__}),
        note="; ".join(note for note in notes if note),
        **value,
    )


def _tested(contrast: Contrast, pair: Pair) -> dict[str, Any]:
    """Difference, interval, test and spread of a contrast; tests count starting weights, not data orders."""
    units = len(np.unique(pair.a.cube.weights_S))
    difference_R = less(contrast.a_R, contrast.b_R)
    [estimate] = estimates([difference_R], pair.resamples.levels)
    low, high, note = estimate.low, estimate.high, ""
    if contrast.seeds_S is None:
        draws_D = difference_R[1:]
        n, test, p = units, BOOTSTRAP, bootstrap_p(draws_D, units)
        # An interval's width as a standard deviation between seeds.
        sd = float(np.nanstd(draws_D) * math.sqrt(units * units / (units - 1))) if units > 1 else math.nan
    else:
        values = pair.by_weights(contrast.seeds_S)
        differences_S = less(*values)
        given_S = differences_S[~np.isnan(differences_S)]
        n, (test, p) = len(given_S), seed_test(differences_S)
        sd = float(np.std(given_S, ddof=1)) if n > 1 else math.nan
        whole = _whole(values) if contrast.unit == "share" else None
        if whole is not None:
            _, low, high = newcombe_paired(*whole)
            note = "every seed is all or nothing: Newcombe's interval over the seeds"
        elif n > 1 and np.ptp(given_S) == 0:
            note = "all seeds agree"
    if math.isnan(p):
        test = ""
    if n < 2:
        low, high = math.nan, math.nan
    return {
        "difference": estimate.value,
        "low": low,
        "high": high,
        "n": n,
        "test": test,
        "p": p,
        "sd": sd,
        "note": note,
    }


def less(a_R: Floats, b_R: Floats) -> Floats:
    """A less b, 0 where rounding alone keeps them apart: its sign must not count in a test."""
    difference_R = a_R - b_R
    return np.where(np.abs(difference_R) <= 1e-9 * np.maximum(np.abs(a_R), np.abs(b_R)), 0.0, difference_R)


def _whole(seeds_S: tuple[Floats, Floats]) -> tuple[int, int, int, int] | None:
    """Counts of seeds, where each one's rates are 0 or 1 and the bootstrap would state certainty; else None."""
    kept = ~np.isnan(seeds_S[0]) & ~np.isnan(seeds_S[1])
    a_S, b_S = seeds_S[0][kept], seeds_S[1][kept]
    if not len(a_S) or np.ptp(a_S - b_S) > 0 or not np.isin([a_S, b_S], (0, 1)).all():
        return None
    return _table(a_S, b_S)


def _table(a_S: Floats, b_S: Floats) -> tuple[int, int, int, int]:
    """Pairs in which both, only the first, only the second, and neither happened."""
    counts = [int(((a_S == x) & (b_S == y)).sum()) for x, y in ((1, 1), (1, 0), (0, 1), (0, 0))]
    return counts[0], counts[1], counts[2], counts[3]


def _cell(pair: Pair, asked: _Asked, lr: float) -> Comparison:
    values = []
    for side in (pair.a, pair.b):
        place = int(np.argmin(np.abs(np.log10(side.cube.lrs_L) - math.log10(lr))))
        if not math.isclose(side.cube.lrs_L[place], lr, rel_tol=1e-3):
            lrs = ", ".join(f"{x:g}" for x in side.cube.lrs_L)
            raise SpecError.of("--lr", f"{side.cube.optimizer} has none of {lr:g}; it has {lrs}")
        if not side.cube.designed_L[place]:
            return _nothing(
                asked, f"a sampler added it to those of {side.cube.optimizer}: it counts in no rate", lr
            )
        values.append(side.cube.flags(asked[2])[:, 0, place])
    kept = ~np.isnan(values[0]) & ~np.isnan(values[1])
    if not kept.any():
        return _nothing(asked, "no seed is complete for both", lr)
    a_S, b_S = values[0][kept], values[1][kept]
    table = _table(a_S, b_S)
    difference, low, high = newcombe_paired(*table)
    p, n = mcnemar_exact(table[1], table[2]), len(a_S)
    return replace(
        _nothing(asked, f"{table[1]} seeds only with {asked[3]}, {table[2]} only with {asked[4]}", lr),
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
        points=1,
    )


def _nothing(asked: _Asked, why: str, lr: float | None = None) -> Comparison:
    task, init, metric, a, b = asked
    nan = math.nan
    return Comparison(
        task=task,
        init=init,
        metric=metric,
        a=a,
        b=b,
        difference=nan,
        low=nan,
        high=nan,
        unit="share" if metric in RATES else "",
        n=0,
        test="",
        p=nan,
        p_holm=nan,
        needed=None,
        lr=lr,
        note=why,
    )
