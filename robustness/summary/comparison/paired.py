"""Two optimizers on the same seeds: intervals and tests of paired values, and Holm's correction. Pure."""

# S seeds, N pairs, P patterns of signs

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from robustness.summary.intervals import wilson

__all__ = [
    "EXACT",
    "bootstrap_p",
    "holm",
    "least_p",
    "mcnemar_exact",
    "newcombe_paired",
    "paired_t",
    "seed_test",
    "sign_flip",
]

Floats = npt.NDArray[np.float64]

EXACT = 12
"""All 2^n patterns of signs are tried up to so many pairs."""
SIGN_FLIP, T_TEST = "sign-flip test", "paired t test"


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
    """The least p that flipping the signs of n pairs can give: 2 of 2^n patterns are as far out as the data.

    >>> least_p(5), least_p(0)
    (0.0625, 1.0)
    """
    return min(2.0 ** (1 - n), 1.0)


def paired_t(differences_S: Floats) -> float:
    """P of the paired t test; missing pairs (NaN) are skipped. NaN below two pairs.

    Where all pairs agree the t statistic has no spread to be measured by: then 1 for a difference of 0, else
    what flipping signs gives.
    """
    given = _present(differences_S)
    if len(given) < 2:
        return math.nan
    if np.ptp(given) <= _tolerance(given):
        return 1.0 if abs(given[0]) <= _tolerance(given) else least_p(len(given))
    from scipy import special  # scipy.stats takes a second more: a table of tests must not wait for it

    given = given / np.abs(given).max()  # squares of differences near 1e-200 would be zero
    t = given.mean() / (given.std(ddof=1) / math.sqrt(len(given)))
    return float(2 * special.stdtr(len(given) - 1, -abs(t)))


def sign_flip(differences_S: Floats, rng: np.random.Generator | None = None, patterns: int = 10_000) -> float:
    """P of the permutation test that swaps the two of each pair; missing pairs (NaN) are skipped.

    Two-sided, on the mean: the share of patterns of signs at least as far from 0 as the data. All patterns up
    to 12 pairs, else drawn ones, the data's own counted among them. NaN below two pairs.

    Args:
        differences_S: of each pair.
        rng: for more than 12 pairs.
        patterns: how many are drawn then.

    Raises:
        ValueError: more than 12 pairs and no generator.

    >>> sign_flip(np.array([1.0, 2.0, 3.0, np.nan]))
    0.25
    """
    given = _present(differences_S)
    n = len(given)
    if n < 2:
        return math.nan
    # Scaled, so that a sum near the largest float does not overflow.
    scaled = given / (float(np.abs(given).max()) or 1.0)
    least = abs(float(scaled.sum())) - 1e-9
    if n <= EXACT:
        return float((np.abs(_signs(n) @ scaled) >= least).mean())
    if rng is None:
        raise ValueError(f"{n} pairs are more than {EXACT}: a generator is needed")
    signs_PS = rng.integers(0, 2, size=(patterns, n)) * 2.0 - 1.0
    return float(((np.abs(signs_PS @ scaled) >= least).sum() + 1) / (patterns + 1))


def seed_test(differences_S: Floats) -> tuple[str, float]:
    """The test of a comparison at the level of seeds: flipping signs up to 12 pairs, else t. Its name and p."""
    if len(_present(differences_S)) <= EXACT:
        return SIGN_FLIP, sign_flip(differences_S)
    return T_TEST, paired_t(differences_S)


def bootstrap_p(draws_D: Floats, n: int) -> float:
    """P by inverting the percentile interval of bootstrap draws, for statistics that no single seed has.

    Two-sided; never less than flipping the signs of n seeds could give, since few seeds make too narrow a
    bootstrap. NaN below two seeds, or where most draws are not defined.

    >>> bootstrap_p(np.array([0.1, 0.2, 0.3, -0.1]), 20)
    0.8
    """
    defined = draws_D[~np.isnan(draws_D)]
    if n < 2 or len(defined) * 2 < len(draws_D) or not len(defined):
        return math.nan
    beyond = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return max(min(2 * (beyond + 1) / (len(defined) + 1), 1.0), least_p(n))


def _present(differences_S: Floats) -> Floats:
    return differences_S[~np.isnan(differences_S)]


def _tolerance(given: Floats) -> float:
    return 1e-12 * float(np.abs(given).max())


@lru_cache(maxsize=EXACT)
def _signs(n: int) -> Floats:
    """All patterns of n signs, (2^n, n)."""
    return np.asarray(1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1), dtype=float)
