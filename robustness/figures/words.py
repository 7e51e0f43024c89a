"""What subtitles say of n."""

from __future__ import annotations

from collections.abc import Iterable

from robustness.phrases import counted
from robustness.summary.cubes import Cube

__all__ = ["n_text", "unit"]


def n_text(sizes: Iterable[int], one: str, rest: str = "") -> str:
    """The sentence with n, or its range.

    Args:
        sizes: of whatever is drawn.
        one: what is counted, as one of it is called.
        rest: of the sentence.

    >>> n_text([5, 5], "seed"), n_text([1, 10, 3], "seed", " a row"), n_text([1], "seed"), n_text([], "seed")
    ('n = 5 seeds.', 'n = 1 to 10 seeds a row.', 'n = 1 seed.', 'Nothing is complete yet.')
    """
    known = sorted(set(sizes))
    if not known:
        return "Nothing is complete yet."
    low = f"{known[0]:,} to " if known[1:] else ""
    return f"n = {low}{counted(known[-1], one)}{rest}."


def unit(cubes: Iterable[Cube], *, fresh: bool = False) -> str:
    """What one value of a square is of: of settings drawn at random each trial is its own seed.

    Args:
        cubes: that are drawn.
        fresh: the values are those of the seeds that confirm.
    """
    if any(cube.binned for cube in cubes):
        return "trial"
    return "fresh seed" if fresh else "seed"
