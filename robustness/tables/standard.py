"""The table of a study when nothing particular is asked."""

from __future__ import annotations

import pandas as pd

from robustness.summary import Study, cell_table, measure, row_table
from robustness.summary.chosen import not_independent, orders_of, sampler_of
from robustness.summary.cubes import by_bins
from robustness.summary.measure import is_confirmed, resampled
from robustness.summary.outcome import ROW
from robustness.summary.warnings import study_warnings
from robustness.summary.winners import winners
from robustness.tables.layout import TableLayout, tuned_table
from robustness.tables.measured import measurements, tuned_scores
from robustness.tables.pivot import pivot_table

__all__ = ["standard_table"]


def _confirmed(study: Study, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the scores of fresh seeds in place of those that the learning rate was chosen by."""
    trained = study.confirmed[study.confirmed["outcome"] == "trained"].groupby(ROW)["score"]
    fresh = study.confirmed.groupby(ROW)["score"].agg(tuned_n="size", score_median="median")
    fresh = fresh.join(trained.agg(tuned_trained="size", score_mean="mean", score_sd="std"))
    replaced = rows.drop(columns=list(fresh.columns)).merge(fresh, how="left", left_on=ROW, right_index=True)
    counts = ["tuned_n", "tuned_trained"]
    replaced[counts] = replaced[counts].fillna(0).astype(int)
    return replaced[list(rows.columns)]


def standard_table(study: Study) -> TableLayout:
    """Tuned scores and divergence rates of every row; of `edge` where its training ends, of `tpe` what it found."""
    sampler = sampler_of(study.spec)
    if not not_independent(sampler):
        trials, complete = (by_bins(study, frame) for frame in (study.trials, study.complete))
        cells = cell_table(trials, complete)
        rows = row_table(complete, cells, orders=orders_of(study.spec))
        if is_confirmed(study):
            return tuned_table(study, _confirmed(study, rows), confirmed=True)
        return tuned_table(study, rows)
    if sampler == "edge":
        entries, notes = measurements(measure(study, metrics=("critical_lr",))), []
    else:
        entries = tuned_scores(resampled(study, draws=0))
        notes = [f"{won.optimizer}, {won.task}, {won.init}: {won.text}." for won in winners(study)]
    return pivot_table(
        study,
        entries,
        rows=("task", "optimizer", "init"),
        columns=(),
        notes=notes,
        warnings=study_warnings(study),
    )
