"""What a reader must know of a number: typed flags with the numbers that they speak of. Words are made of them last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Flag", "Remark", "has_flag"]


class Flag(StrEnum):
    """One fact about a result. Its numbers, in `Remark.numbers`, stand in brackets."""

    # Why there is no value.
    NOTHING_COMPLETE = "nothing-complete"
    NOTHING_TRAINS = "nothing-trains"
    MOST_SEEDS_DO_NOT_TRAIN = "most-seeds-do-not-train"
    NOTHING_TRAINS_ON_ALL_INITS = "nothing-trains-on-all-inits"
    INIT_LACKS_EVERY_LR = "init-lacks-every-lr"
    ONE_INIT = "one-init"
    ONE_ENVIRONMENT = "one-environment"
    NO_DEFAULT_LR = "no-default-lr"
    DEFAULT_LR_NOT_TRIED = "default-lr-not-tried"  # (default)
    NO_TRAINING_LOSS = "no-training-loss"
    NO_CONSTANT_LOSS = "no-constant-loss"
    DIFFERENT_SEEDS = "different-seeds"
    DIFFERENT_LRS = "different-lrs"
    NO_COMMON_LR = "no-common-lr"
    DRAWN_LRS = "drawn-lrs"
    NOT_DEFINED = "not-defined"
    CHOSEN_BY_EDGE = "chosen-by-edge"
    CHOSEN_BY_TPE = "chosen-by-tpe"
    MISSING_SQUARE = "missing-square"
    # The value is a bound.
    CENSORED_LOW = "censored-low"
    CENSORED_HIGH = "censored-high"
    # Where the value was read.
    AT_GRID_EDGE = "at-grid-edge"
    DEFAULT_LR = "default-lr"  # (default)
    NEAREST_TO_DEFAULT_LR = "nearest-to-default-lr"  # (default, nearest)
    PRIOR_COVERAGE = "prior-coverage"  # (share)
    ADDED_LRS_LEFT_OUT = "added-lrs-left-out"  # (how many)
    SELECTED_ON_TEST = "selected-on-test"
    OF_ONE_HYPERPARAMETER = "of-one-hyperparameter"
    DIVERGED_SHARE = "diverged-share"  # (share)
    # Counts of seeds or trials.
    COUNT = "count"  # (k, n)
    NON_MONOTONE = "non-monotone"  # (seeds, of)
    END_NOT_KNOWN = "end-not-known"  # (seeds, of)
    SOME_SEEDS_FAILED = "some-seeds-failed"  # (seeds, of)
    # Why there is no interval, or what it is.
    ONE_SEED = "one-seed"
    ALL_SEEDS_AGREE = "all-seeds-agree"
    UNEVEN_SEEDS = "uneven-seeds"
    SEEDS_DIFFER_BETWEEN_SQUARES = "seeds-differ-between-squares"
    FEW_SEEDS_AT_TUNED = "few-seeds-at-tuned"
    CLUSTERED_SEEDS = "clustered-seeds"
    TOO_MANY_RANDOM_TRIALS = "too-many-random-trials"  # (most)
    # Of comparisons; `which` is 0 for the first optimizer, 1 for the second.
    NO_COMMON_INIT = "no-common-init"
    BOTH_CENSORED = "both-censored"
    COMMON_RANGE = "common-range"  # (decades, of how many)
    MISSING_TRIALS = "missing-trials"  # (how many)
    NO_COMMON_SEED = "no-common-seed"
    ONLY_ONE_OF_A_PAIR = "only-one-of-a-pair"  # (seeds only with the first, only with the second)
    NOT_RESOLVED = "not-resolved"  # (resolution)
    LITTLE_OVERLAP = "little-overlap"  # (decades)
    OPPOSITE_SIGNS = "opposite-signs"
    TOO_FEW_SEEDS_TO_TELL = "too-few-seeds-to-tell"  # (least p)


@dataclass(frozen=True, slots=True)
class Remark:
    """A flag with the numbers that it speaks of, in the order that `Flag` states."""

    flag: Flag
    numbers: tuple[float, ...] = ()


def has_flag(remarks: Iterable[Remark], *flags: Flag) -> bool:
    """Whether one of these flags is among the remarks.

    >>> has_flag([Remark(Flag.COUNT, (1, 3))], Flag.CENSORED_LOW, Flag.COUNT)
    True
    """
    return any(remark.flag in flags for remark in remarks)
