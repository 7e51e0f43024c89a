"""Numbers in sentences."""

from __future__ import annotations

__all__ = ["counted"]


def counted(n: int, one: str, many: str = "") -> str:
    """A number of things.

    >>> counted(1, "trial"), counted(2_000, "trial"), counted(0, "study", "studies")
    ('1 trial', '2,000 trials', '0 studies')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"
