"""A study's answer in three sentences: who diverges, who forgives a learning rate, and whether they differ."""

# S seeds, I initializations, N cells of a task

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from robustness.phrases import counted
from robustness.summary import Study, measure
from robustness.summary.audit_rows import row_edges
from robustness.summary.cell_weighted_rates import rate_of_cells
from robustness.summary.comparison.comparing import compare
from robustness.summary.cubes import Cube
from robustness.summary.outcome import ROW
from robustness.summary.row_metrics import CRITICAL_MEDIAN
from robustness.summary.rows import DEFAULT_DELTA
from robustness.summary.sampler_limits import sampler_of
from robustness.summary.winners import winners
from robustness.tables import standard_table, write_markdown
from robustness.wording.answers import (
    OptimizerEnds,
    OptimizerRate,
    OptimizerWindow,
    SeedRows,
    clamped_sentence,
    ends_sentence,
    gaps_sentence,
    rates_sentence,
    settings_sentence,
    windows_sentence,
)
from robustness.wording.captions import over_lrs, units, whole
from robustness.wording.comparisons import sentence

__all__ = ["answer", "asides", "overview"]


def overview(study: Study) -> str:
    """What `robustness show` prints: title and question, how many trials there are, the answer, the table."""
    counts = ", ".join(f"{n:,} {state}" for state, n in study.counts.items() if n)
    parts = [
        f"{study.title or study.name}\n{study.question}",
        f"{counted(sum(study.counts.values()), 'trial')}: {counts or 'none'}",
        "\n".join(answer(study)),
        write_markdown(standard_table(study)),
    ]
    return "\n\n".join(parts)


def answer(study: Study) -> list[str]:
    """Three sentences; one where nothing is complete.

    The first gives every optimizer's divergence rate with its interval by whole seeds, the second what it tolerates
    and reaches, the third the study's claim, or how the first two optimizers compare.
    """
    if not len(study.complete):
        return ["Nothing is complete yet."]
    sampler = sampler_of(study.spec)
    if sampler == "edge":
        return [
            ends_sentence(_ends(study)),
            gaps_sentence(_seed_rows(study)),
            _difference(study, "critical_lr"),
        ]
    if sampler == "tpe":
        return [_settings(study), _difference(study, "score")]
    resampled = whole(units(study, of_rates=True)[1])
    return [
        rates_sentence(_rates(study), lrs=over_lrs(study.complete), resampled=resampled),
        windows_sentence(_windows(study)),
        _difference(study, "divergence_rate"),
    ]


def _ends(study: Study) -> list[OptimizerEnds]:
    rows = [row for row in measure(study, metrics=("critical_lr",)) if row.at == CRITICAL_MEDIAN]
    ends = []
    for optimizer in dict.fromkeys(row.optimizer for row in rows):
        values = [row for row in rows if row.optimizer == optimizer]
        dead = [(~sample.trains_I).sum() for sample in study.tuning if sample.cube.optimizer == optimizer]
        ends.append(
            OptimizerEnds(
                optimizer=optimizer,
                known=tuple(row for row in values if math.isfinite(row.value)),
                beyond=sum(math.isinf(row.value) for row in values),
                nowhere=int(sum(dead)),
                rows=len(values),
            )
        )
    return ends


def _seed_rows(study: Study) -> list[SeedRows]:
    rows = []
    for cube in study.grid.cubes:
        known_SI = ~np.isnan(cube.critical.first_not_trained)
        trials = (~np.isnan(cube.score_SIL)).sum(axis=2)[known_SI]
        rows.append(
            SeedRows(
                optimizer=cube.optimizer,
                task=cube.task,
                gaps=int((known_SI & ~cube.critical.monotone).sum()),
                known=len(trials),
                trials=float(trials.mean()) if len(trials) else math.nan,
            )
        )
    return rows


def _settings(study: Study) -> str:
    best = winners(study)
    alive = {(one.task, one.optimizer, one.init) for one in best}
    rows = study.complete[ROW].drop_duplicates().itertuples(index=False, name=None)
    return settings_sentence(
        best,
        [row for row in rows if row not in alive],
        budget=study.spec["search"]["budget"],
        is_loss={task: constants.score == "loss" for task, constants in study.facts.items()},
    )


def _rates(study: Study) -> list[OptimizerRate]:
    names = dict.fromkeys(cube.optimizer for cube in study.grid.cubes)
    return [_rate(name, [cube for cube in study.grid.cubes if cube.optimizer == name]) for name in names]


def _rate(optimizer: str, cubes: Sequence[Cube]) -> OptimizerRate:
    """Over all tasks: every learning rate with every initialization of each is a cell."""
    seeds_S = np.unique(np.concatenate([cube.seeds_S for cube in cubes]))
    columns = []
    for cube in cubes:
        flags_SN = np.full((len(seeds_S), math.prod(cube.shape[1:])), math.nan)
        places_S = np.searchsorted(seeds_S, cube.seeds_S)
        flags_SN[places_S] = cube.flags("divergence_rate").reshape(len(places_S), -1)
        columns.append(flags_SN)
    rate, remarks = rate_of_cells(
        np.concatenate(columns, axis=1),
        seeds_S,
        cubes[0].orders,
        drawn=any(cube.binned for cube in cubes),
        clustered=any(cube.clustered for cube in cubes),
    )
    nonfinite = int(sum(np.nansum(cube.flags("nonfinite_rate")) for cube in cubes))
    return OptimizerRate(optimizer=optimizer, rate=rate, nonfinite=nonfinite, remarks=remarks)


def _windows(study: Study) -> list[OptimizerWindow]:
    rows = measure(study, metrics=("tolerance_window", "score"))
    edges = row_edges(study.tuning, DEFAULT_DELTA)
    kinds = {constants.score for constants in study.facts.values()}
    windows = []
    for optimizer in dict.fromkeys(row.optimizer for row in rows):
        widths, scores = (
            [
                row.value
                for row in rows
                if (row.optimizer, row.metric) == (optimizer, metric) and math.isfinite(row.value)
            ]
            for metric in ("tolerance_window", "score")
        )
        of_optimizer = [row for row in edges if row.optimizer == optimizer]
        windows.append(
            OptimizerWindow(
                optimizer=optimizer,
                decades=float(np.median(widths)) if widths else math.nan,
                is_censored=any(row.is_censored for row in of_optimizer),
                trains=len(widths),
                rows=len(of_optimizer),
                # Accuracies and losses have no common median.
                score=float(np.median(scores)) if scores and len(kinds) == 1 else math.nan,
                is_loss=kinds == {"loss"},
            )
        )
    return windows


def _difference(study: Study, unclaimed: str) -> str:
    claim = study.spec.get("claim")
    optimizers = [str(name) for name in study.complete["optimizer"].unique()]
    if claim is not None and {claim["a"], claim["b"]} <= set(optimizers):
        a, b, metric, head = claim["a"], claim["b"], claim["metric"], "The study's claim:"
    elif len(optimizers) > 1:
        a, b, metric, head = optimizers[0], optimizers[1], unclaimed, "Not a claim made beforehand:"
    else:
        return "One optimizer: nothing to compare it with."
    return " ".join([head, *(sentence(verdict) for verdict in compare(study, a, b, metric))])


def asides(study: Study) -> list[str]:
    """What else an answer needs: how much INSGD's preset `released` clamped.

    Where nothing is clamped, the preset has fixed multipliers.
    """
    known = study.complete.dropna(subset=["clamped_share"])
    return [
        clamped_sentence(str(optimizer), str(task), shares.tolist())
        for (task, optimizer), shares in known.groupby(["task", "optimizer"], sort=False)["clamped_share"]
    ]
