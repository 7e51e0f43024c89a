"""Pairs of trials of the same seeds in one cell, and Holm's correction. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from robustness.summary.intervals import wilson

__all__ = ["holm", "least_p", "mcnemar_exact", "newcombe_paired"]


def newcombe_paired(a: int, b: int, c: int, d: int, confidence: float = 0.95) -> tuple[float, float, float]:
    """The difference of two paired proportions, (a + b) / n - (a + c) / n, with the ends of its interval.

    Args:
        a: pairs in which both happened.
        b: only the first.
        c: only the second.
        d: neither.
        confidence: of the interval.

    Returns:
        Difference, low, high; NaN where there is no pair.

    Raises:
        ValueError: a count is negative.

    Source: Newcombe 1998 (Statistics in Medicine 17, 2635), method 10: Wilson's intervals of both, joined by
    phi, whose numerator is lowered by n / 2, to no less than 0, where it is positive.

    >>> [round(x, 3) for x in newcombe_paired(1, 1, 7, 12)]
    [-0.286, -0.507, -0.026]
    """
    if min(a, b, c, d) < 0:
        raise ValueError(f"counts must be >= 0, got {a}, {b}, {c}, {d}")
    n = a + b + c + d
    if n == 0:
        return math.nan, math.nan, math.nan
    first, second = wilson(a + b, n, confidence), wilson(a + c, n, confidence)
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    excess = float(a * d - b * c)
    if excess > 0:
        excess = max(excess - n / 2, 0.0)
    phi = excess / math.sqrt(margins) if margins else 0.0
    below = (first.value - first.low, second.high - second.value)
    above = (first.high - first.value, second.value - second.low)
    low, high = (math.sqrt(max(x * x - 2 * phi * x * y + y * y, 0.0)) for x, y in (below, above))
    # Over n, not as p1 - p2: rounding must not put the difference outside of its own interval.
    difference = (b - c) / n
    return difference, max(difference - low, -1.0), min(difference + high, 1.0)


def mcnemar_exact(b: int, c: int) -> float:
    """P of McNemar's exact test: the discordant pairs are as likely either way; 1 where there is none.

    Args:
        b: pairs in which only the first happened.
        c: only the second.

    >>> mcnemar_exact(0, 5), mcnemar_exact(0, 0)
    (0.0625, 1.0)
    """
    if b + c == 0:
        return 1.0
    from scipy import stats  # takes a second: what needs no test must not wait for it

    return float(stats.binomtest(b, b + c).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for their number by Holm's step-down rule, in the same order; NaN is no test.

    >>> holm([0.04, 0.01, float("nan"), 0.03])
    [0.06, 0.03, nan, 0.06]
    """
    found = [math.nan] * len(p_values)
    tested = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    least = 0.0
    for passed, (p, place) in enumerate(tested):
        least = max(least, min((len(tested) - passed) * p, 1.0))
        found[place] = least
    return found


def least_p(n: int) -> float:
    """The least p that flipping the signs of n pairs can give, as McNemar's test does: 2 of 2^n patterns.

    >>> least_p(5), least_p(0)
    (0.0625, 1.0)
    """
    return min(2.0 ** (1 - n), 1.0)
