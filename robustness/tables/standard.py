"""The table of a study when nothing particular is asked."""

from __future__ import annotations

from robustness.summary import Study, measure
from robustness.summary.sampler_limits import not_independent, sampler_of
from robustness.summary.tuned_rows import tuned_rows
from robustness.summary.winners import winners
from robustness.tables.layout import TableLayout, tuned_table
from robustness.tables.measured import measurements, tuned_scores
from robustness.tables.pivot import pivot_table
from robustness.wording.warnings import study_warnings

__all__ = ["standard_table"]


def standard_table(study: Study) -> TableLayout:
    """Tuned scores and divergence rates of every row; of `edge` where its training ends, of `tpe` what it found."""
    sampler = sampler_of(study.spec)
    if not not_independent(sampler):
        return tuned_table(study, tuned_rows(study), confirmed=study.is_confirmed)
    if sampler == "edge":
        entries, notes = measurements(measure(study, metrics=("critical_lr",))), []
    else:
        entries = tuned_scores(study.tuning)
        notes = [f"{won.optimizer}, {won.task}, {won.init}: {won.text}." for won in winners(study)]
    return pivot_table(
        study,
        entries,
        rows=("task", "optimizer", "init"),
        columns=(),
        notes=notes,
        warnings=study_warnings(study),
    )
