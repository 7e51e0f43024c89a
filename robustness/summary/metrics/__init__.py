"""The robustness metrics: pure functions of arrays, one value for each resample. Source: METRICS of the design.

Arrays carry their axes in their names: R resamples (row 0 is the sample itself), S seeds, I initializations,
L learning rates (ascending), E environments, T tasks, K numbers of trials. Medians over seeds are taken in each
resample before a metric sees them, so the tuned learning rate is chosen anew in every draw.
"""

from robustness.summary.metrics.aggregate import (
    iqm,
    optimality_gap,
    probability_of_improvement,
)
from robustness.summary.metrics.first_failure import estimates_from_ends, lowest_first_failure
from robustness.summary.metrics.learning_rates import (
    LEAST_RUNS_OF_A_BIN,
    Chosen,
    CriticalLrs,
    critical_lrs,
    enough_runs,
    is_open,
    log_weights,
    tolerance_window,
    touched,
    transfer_regret,
    tuned_index,
    window_ends,
)
from robustness.summary.metrics.location import integral_weights, margin, skill_centre
from robustness.summary.metrics.scores import (
    best_of_k_weights,
    cvar,
    expected_best_of_k,
    prior_weights,
    spread,
)
from robustness.summary.metrics.sensitivity import (
    effective_dimension,
    hyperparameter_sensitivity,
    lr_sensitivity,
)

__all__ = [
    "LEAST_RUNS_OF_A_BIN",
    "Chosen",
    "CriticalLrs",
    "best_of_k_weights",
    "critical_lrs",
    "cvar",
    "effective_dimension",
    "enough_runs",
    "estimates_from_ends",
    "expected_best_of_k",
    "hyperparameter_sensitivity",
    "integral_weights",
    "iqm",
    "is_open",
    "log_weights",
    "lowest_first_failure",
    "lr_sensitivity",
    "margin",
    "optimality_gap",
    "prior_weights",
    "probability_of_improvement",
    "skill_centre",
    "spread",
    "tolerance_window",
    "touched",
    "transfer_regret",
    "tuned_index",
    "window_ends",
]
