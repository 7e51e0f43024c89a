"""From the store to numbers: outcomes, cells, rates and their intervals. Torch-free."""

from robustness.summary.cells import cell_table, row_table
from robustness.summary.cubes import Cube, cubes
from robustness.summary.frame import Study, check_begun, load_study
from robustness.summary.intervals import Rate, wilson
from robustness.summary.measure import measure
from robustness.summary.outcome import Thresholds, classify
from robustness.summary.rows import METRICS, Delta, MetricRow
from robustness.summary.tasks import TaskConstants, TaskFacts, task_facts

__all__ = [
    "METRICS",
    "Cube",
    "Delta",
    "MetricRow",
    "Rate",
    "Study",
    "TaskConstants",
    "TaskFacts",
    "Thresholds",
    "cell_table",
    "check_begun",
    "classify",
    "cubes",
    "load_study",
    "measure",
    "row_table",
    "task_facts",
    "wilson",
]
