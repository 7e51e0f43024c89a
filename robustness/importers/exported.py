"""Our own exports, as the table that they are imported from: what only they have, and what they name otherwise.

Labels, figures and facts of tasks have the names of any table. Beside these an export tells of each trial what it was
added for, whether its study stopped it, and figures of epochs that a row a trial does not show.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from robustness.phrases import counted
from robustness.spreadsheets import undefuse
from robustness.trial import TrialState

__all__ = ["EPOCH_FIGURES", "FINAL_FIGURES", "is_export", "is_unfinished", "left_out", "parted"]

EPOCH_FIGURES = ("parameter_norm", "distance", "clamped_share")
FINAL_FIGURES = ("epochs", "min_train_loss", "max_earlier_score", "max_loss_rise")
"""Of a row a trial: what its epochs would tell."""
_OWN = (*EPOCH_FIGURES, *FINAL_FIGURES, "train_loss_max", "max_train_loss", "stopped", "reason")
_COMPUTED = ("outcome", "side", "evidence", "skill", "score", "attempts")
"""By the rule, from the rest; when an import is read, it is computed again."""
_RENAMED = {"seed_index": "seed", "score_of": "score"}
_LABELS = ("task", "optimizer", "init")


def is_export(header: Sequence[str]) -> bool:
    """Whether `robustness export` wrote a table with these columns."""
    return "seed_index" in header and "seed" not in header


def is_unfinished(fields: Mapping[str, str]) -> bool:
    """Whether a row of an export is a trial that is not complete, which has nothing to import."""
    return fields.get("state", TrialState.COMPLETE) != TrialState.COMPLETE


def parted(fields: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The fields of any table, and those that only an export has.

    >>> parted({"optimizer": "'=a", "seed_index": "3", "score": "0.9", "stopped": "True"})
    ({'optimizer': '=a', 'seed': '3'}, {'stopped': 'True'})
    """
    plain = {
        _RENAMED.get(column, column): undefuse(text) if column in _LABELS else text
        for column, text in fields.items()
        if column not in (*_COMPUTED, *_OWN)
    }
    return plain, {column: fields[column] for column in _OWN if column in fields}


def left_out(path: Path) -> list[str]:
    """A note on what of an export is not imported, of a table that was read before."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        if not is_export(reader.fieldnames or ()):
            return []
        count = sum(map(is_unfinished, reader))
    return [f"{counted(count, 'trial')} not complete: left out"] if count else []
