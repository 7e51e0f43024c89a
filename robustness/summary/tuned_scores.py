"""The test score at a row's tuned learning rate, over its seeds: what every table and every winner states."""

# S seeds

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robustness.summary.resampled import Resampled

__all__ = ["TunedScore", "tuned_score"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TunedScore:
    """Test scores of the final epoch, of fresh seeds where the study has them; NaN where there are too few.

    Attributes:
        mean: over the seeds that train there.
        sd: their standard deviation (n - 1).
        median: over all seeds, those that do not train at chance.
        trained: seeds that train there.
        seeds: all with a complete trial there.
    """

    mean: float
    sd: float
    median: float
    trained: int
    seeds: int


def tuned_score(sample: Resampled, i: int) -> TunedScore:
    """The score of one initialization of an optimizer on a task.

    Args:
        sample: of the optimizer on the task.
        i: place of the initialization.
    """
    scored = sample.scored
    failed_S, score_S = scored.tuned_failures(i), scored.cube.score_SIL[:, i, scored.tuned_RI[0, i]]
    trained_S, seeds = score_S[failed_S == 0], int((~np.isnan(failed_S)).sum())
    return TunedScore(
        mean=float(trained_S.mean()) if len(trained_S) else math.nan,
        sd=float(trained_S.std(ddof=1)) if len(trained_S) > 1 else math.nan,
        median=float(np.nanmedian(score_S)) if seeds else math.nan,
        trained=len(trained_S),
        seeds=seeds,
    )
