"""What a table says, before any format."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from robustness.summary import Study
from robustness.summary.grid import BINS_PER_DECADE
from robustness.wording.captions import over_lrs, seeds_text, units

__all__ = ["Spanner", "TableLayout", "rule_sentence", "title_sentence", "tuned_lr_words", "tuned_table"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spanner:
    """A header over the columns `first` to `last`, both included."""

    text: str
    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class TableLayout:
    """Plain text throughout; writers escape it.

    Attributes:
        caption: what the numbers are, with the rule, n and the interval.
        columns: headers.
        numeric: which columns hold figures, set flush right.
        rows: of as many texts as there are columns.
        bold: (row, column) of the best entries.
        underlined: of the second best.
        marks: of (row, column), what stands raised behind the entry.
        asides: of (row, column), what follows the entry in smaller type: an interval, counts.
        spanners: headers over the columns, the topmost level first.
        labels: how many of the first columns name the row; a level that repeats may be left out in print.
        notes: (mark, text) under the table; without a mark they hold for all of it.
    """

    caption: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    bold: frozenset[tuple[int, int]]
    underlined: frozenset[tuple[int, int]] = frozenset()
    marks: Mapping[tuple[int, int], str] = field(default_factory=dict)
    asides: Mapping[tuple[int, int], str] = field(default_factory=dict)
    spanners: tuple[tuple[Spanner, ...], ...] = ()
    labels: int = 0
    notes: tuple[tuple[str, str], ...] = ()


_COLUMNS = (
    "Task",
    "Initialization",
    "Optimizer",
    "Tuned lr",
    "Accuracy (%)",
    "n",
    "Diverged (%)",
    "95 % interval",
    "k/n",
)
_ACCURACY, _RATE = 4, 6


def title_sentence(study: Study) -> str:
    """The study's title, or its name, as a sentence."""
    title = study.title or study.name
    return title if title.endswith("?") else f"{title.rstrip('.')}."


def rule_sentence(study: Study) -> str:
    """The budget and the rule by which trials were judged."""
    budgets = sorted({text for text in map(study.budget, study.tasks) if text})
    budget = f"Budget: {'; '.join(budgets)}. " if budgets else ""
    rule = study.thresholds
    return f"{budget}Rule version {rule.version}, skill floor {rule.skill_floor:g}."


def tuned_lr_words(units: str) -> str:
    """What scores stand at, where n counts these units."""
    drawn = f" (drawn ones in {BINS_PER_DECADE} bins a decade)"
    return f"learning rate{drawn if 'trials' in units else ''}"


def tuned_table(study: Study, rows: pd.DataFrame, *, confirmed: bool = False) -> TableLayout:
    """Each optimizer on each initialization: accuracy at its tuned learning rate, divergence over all.

    Args:
        study: for the caption.
        rows: of `summary.tuned_rows`.
        confirmed: scores are those of fresh seeds.

    Returns:
        Rows by task, initialization, optimizer, in the study's order; the best accuracy and the lowest
        divergence rate of each task and initialization in bold, ties included.
    """
    ordered = [part for _, part in rows.groupby(["task", "init"], sort=False)]
    texts: list[tuple[str, ...]] = []
    bold: set[tuple[int, int]] = set()
    for part in ordered:
        first = len(texts)
        by_loss = study.facts[str(part["task"].iloc[0])].score == "loss"
        # One that trains nowhere does not diverge where others do: its rate is no best one.
        rates = part["divergence_rate"].where(part["tuned_lr"].notna())
        texts += [_texts(row, by_loss=by_loss) for _, row in part.iterrows()]
        for column, values, best in (
            (_ACCURACY, part["score_mean"], part["score_mean"].max()),
            (_RATE, rates, rates.min()),
        ):
            # One optimizer alone is no best; NaN equals nothing.
            bold |= {(first + i, column) for i, v in enumerate(values) if v == best and len(part) > 1}
    (_, many), (_, by) = units(study), units(study, of_rates=True)
    kinds = {constants.score for constants in study.facts.values()}
    measured = {"accuracy": "Test accuracy", "loss": "Test loss"}
    selected = " or ".join(sorted({constants.selection for constants in study.facts.values()}, reverse=True))
    caption = (
        f"{title_sentence(study)} {' or '.join(measured[kind] for kind in sorted(kinds))} of the final epoch, mean ± "
        f"standard deviation over n {'fresh ' if confirmed else ''}{many}, at the {tuned_lr_words(many)} with the best "
        f"median {selected} score{' of the others' if confirmed else ''}; those that did not train there are counted "
        f"beside it and not averaged. Diverged: k of n trials over {over_lrs(study.complete)}, with the 95 % interval "
        f"over {seeds_text(study) if by == 'seeds' else by}. "
        f"{rule_sentence(study)} Best in bold."
    )
    numeric = (False, False, False, True, True, True, True, True, True)
    headers = list(_COLUMNS)
    if kinds != {"accuracy"}:
        headers[_ACCURACY] = "Loss" if kinds == {"loss"} else "Accuracy (%) or loss"
    return TableLayout(
        caption=caption,
        columns=tuple(headers),
        numeric=numeric,
        rows=tuple(texts),
        bold=frozenset(bold),
        labels=3,
    )


def _texts(row: pd.Series, *, by_loss: bool) -> tuple[str, ...]:
    mean, sd = (
        (-row["score_mean"], row["score_sd"]) if by_loss else (100 * row["score_mean"], 100 * row["score_sd"])
    )
    digits = ".4g" if by_loss else ".2f"
    spread = "" if math.isnan(sd) else f" ± {sd:{'.2g' if by_loss else '.2f'}}"
    accuracy = "–" if math.isnan(mean) else f"{mean:{digits}}{spread}"
    nothing = row["n"] == 0
    return (
        str(row["task"]),
        str(row["init"]),
        str(row["optimizer"]),
        "–" if math.isnan(row["tuned_lr"]) else f"{row['tuned_lr']:.3g}",
        accuracy,
        _seeds_behind(int(row["tuned_trained"]), int(row["tuned_n"])),
        "–" if nothing else f"{100 * row['divergence_rate']:.1f}",
        "–" if nothing or math.isnan(row["low"]) else f"{100 * row['low']:.1f} to {100 * row['high']:.1f}",
        f"{int(row['diverged'])}/{int(row['n'])}",
    )


def _seeds_behind(trained: int, seeds: int) -> str:
    """How many seeds a tuned score is of, and of how many where some did not train.

    >>> _seeds_behind(5, 5), _seeds_behind(4, 5)
    ('5', '4 of 5')
    """
    return str(seeds) if trained == seeds else f"{trained} of {seeds}"
