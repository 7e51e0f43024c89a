"""From the store to numbers: outcomes, cells, rates and their intervals. Torch-free."""

from robustness.summary.cubes import Cube
from robustness.summary.grid import Grid
from robustness.summary.intervals import Rate, wilson
from robustness.summary.measure import measure
from robustness.summary.outcome import Thresholds, classify
from robustness.summary.rows import METRICS, Delta, MetricRow
from robustness.summary.study import Study, check_begun, load_study, study_of_trials
from robustness.summary.tasks import TaskConstants, TaskFacts, task_facts

__all__ = [
    "METRICS",
    "Cube",
    "Delta",
    "Grid",
    "MetricRow",
    "Rate",
    "Study",
    "TaskConstants",
    "TaskFacts",
    "Thresholds",
    "check_begun",
    "classify",
    "load_study",
    "measure",
    "study_of_trials",
    "task_facts",
    "wilson",
]
