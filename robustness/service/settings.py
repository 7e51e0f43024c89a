"""What an operator decides about a service, beside who gets in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits, and where the data sets are.

    Attributes:
        data: the folder with the data sets; a study of one that is not there is refused.
        max_cells: of a study; None is ROBUSTNESS_MAX_CELLS, or 100,000.
        max_queued: studies that one token may have waiting.
    """

    data: Path
    max_cells: int | None = None
    max_queued: int = 20
