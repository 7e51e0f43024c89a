"""How many seeds a comparison needs, and what so many seeds can tell: power of the paired t test over seeds."""

from __future__ import annotations

import math
from functools import lru_cache

__all__ = ["ALPHA", "POWER", "detectable", "power", "seeds_needed"]

ALPHA = 0.05
POWER = 0.8
_NORMAL_ABOVE = 10_000  # seeds; beyond, the normal distribution stands for t


def power(n: int, effect: float, alpha: float = ALPHA) -> float:
    """The chance that n seeds tell a difference, by the two-sided paired t test.

    Args:
        n: paired seeds; one tells nothing.
        effect: the difference over the standard deviation of paired differences between seeds.
        alpha: of the test.

    Source: the noncentral t distribution; as statsmodels' TTestPower.

    >>> round(power(20, 0.5), 3), power(1, 9.0)
    (0.565, 0.0)
    """
    if n < 2:
        return 0.0
    from scipy import special

    df, shift = n - 1, abs(effect) * math.sqrt(n)
    edge = float(special.stdtrit(df, 1 - alpha / 2))
    # A noncentral t far beyond the edge underflows to NaN in places; a normal is as good there.
    if shift - edge > 8:
        return 1.0
    beyond = 1.0 - float(special.nctdtr(df, shift, edge))
    below = float(special.nctdtr(df, shift, -edge)) if shift < 4 else 0.0
    return beyond + below


@lru_cache(maxsize=4_096)
def seeds_needed(effect: float, alpha: float = ALPHA, goal: float = POWER) -> int | None:
    """The fewest seeds that tell a difference with a power of `goal`; None where it is 0 or not known.

    Args:
        effect: the difference over the standard deviation of paired differences; infinite where all agree.
        alpha: of the test.
        goal: the power.

    >>> seeds_needed(0.5), seeds_needed(0.0)
    (34, None)
    """
    if math.isnan(effect) or effect == 0:
        return None
    from scipy import special

    both = float(special.ndtri(1 - alpha / 2) + special.ndtri(goal))
    high = math.ceil((both / abs(effect)) ** 2)
    if high > _NORMAL_ABOVE:
        return high
    low = 1
    high = max(high, 2)
    while power(high, effect, alpha) < goal:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if power(middle, effect, alpha) < goal else (low, middle)
    return high


def detectable(n: int, sd: float, alpha: float = ALPHA, goal: float = POWER) -> float:
    """The difference that n seeds tell with a power of `goal`; infinite where they cannot tell any.

    Args:
        n: paired seeds.
        sd: standard deviation of paired differences between seeds, in the difference's unit.
        alpha: of the test.
        goal: the power.

    >>> round(detectable(34, 0.02), 4), detectable(1, 0.02)
    (0.0099, inf)
    """
    if power(n, 1e6, alpha) < goal:
        return math.inf
    low, high = 0.0, 1.0
    while power(n, high, alpha) < goal:
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if power(n, middle, alpha) < goal else (low, middle)
    return high * sd
