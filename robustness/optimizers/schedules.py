"""Learning-rate schedules as factors of the learning rate, step by step."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

__all__ = ["factor"]


def factor(arguments: Mapping[str, Any], step: int, steps_an_epoch: int, epochs: int) -> float:
    """What the learning rate is multiplied by in one step (0, 1, ...).

    Args:
        arguments: `schedule` (constant; step: times `decay_factor` after each of `milestones`, rising, in epochs;
            cosine: to zero at the end of the budget) and `warmup_epochs` (linear from one step's share).
        step: optimizer steps taken before.
        steps_an_epoch: batches an epoch.
        epochs: the budget.

    >>> arguments = {"schedule": "step", "milestones": (1.0,), "decay_factor": 0.2, "warmup_epochs": 0.0}
    >>> [factor(arguments, step, 2, 3) for step in range(4)]
    [1.0, 1.0, 0.2, 0.2]
    """
    warmup = arguments["warmup_epochs"] * steps_an_epoch
    ramp = min((step + 1) / warmup, 1.0) if warmup else 1.0
    if arguments["schedule"] == "step":
        # Rounded: 0.07 epochs of 100 steps are 7 steps, not 7.000000000000001.
        passed = bisect_right([round(m * steps_an_epoch, 6) for m in arguments["milestones"]], step)
        return ramp * float(arguments["decay_factor"]) ** passed
    if arguments["schedule"] == "cosine":
        total = epochs * steps_an_epoch
        done = max(step - warmup, 0.0) / max(total - warmup, 1.0)
        return ramp * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    return ramp
