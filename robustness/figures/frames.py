"""The numbers of a picture as one table, from its lines or boxes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

__all__ = ["stacked"]


def stacked(columns: Sequence[str], parts: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """Parts of a picture below each other; the columns alone where there is none.

    Args:
        columns: names.
        parts: of each its values in the order of the columns: arrays of one length, or one value for all its rows.

    >>> stacked(("optimizer", "lr"), [("sgd", [0.1, 1.0]), ("adam", [0.01])]).to_dict("list")
    {'optimizer': ['sgd', 'sgd', 'adam'], 'lr': [0.1, 1.0, 0.01]}
    """
    frames = [pd.DataFrame(dict(zip(columns, part, strict=True))) for part in parts]
    return pd.concat(frames or [pd.DataFrame(columns=list(columns))], ignore_index=True)
