"""The table of a study when nothing particular is asked."""

from __future__ import annotations

from robustness.summary import Study, cell_table, measure, row_table
from robustness.summary.chosen import sampler_of
from robustness.summary.warnings import study_warnings
from robustness.tables.layout import TableLayout, tuned_table
from robustness.tables.measured import measurements
from robustness.tables.pivot import pivot_table

__all__ = ["standard_table"]


def standard_table(study: Study) -> TableLayout:
    """Tuned scores and divergence rates of every row; of `edge`, where its training ends."""
    if sampler_of(study.spec) != "edge":
        return tuned_table(study, row_table(study.complete, cell_table(study.trials, study.complete)))
    return pivot_table(
        study,
        measurements(measure(study, metrics=("critical_lr",))),
        rows=("task", "optimizer", "init"),
        columns=(),
        warnings=study_warnings(study),
    )
