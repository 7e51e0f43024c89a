"""What a table says about its numbers: the caption, footnotes of entries, notes on all of it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from robustness.phrases import counted
from robustness.summary import Study
from robustness.summary.findings import FEW_SEEDS
from robustness.summary.flags import Flag
from robustness.summary.rows import METRICS
from robustness.summary.sampler_limits import orders_of
from robustness.tables.axes import Arrangement
from robustness.tables.entries import RATES, Spread, unit_text
from robustness.tables.layout import rule_sentence, title_sentence, tuned_lr_words
from robustness.tables.measured import Measurement
from robustness.tables.ranking import LEVEL, Ranking
from robustness.wording.captions import seeds_text, units, whole
from robustness.wording.remarks import clauses

__all__ = ["Footnotes", "pivot_caption", "table_notes"]

_WARNINGS = 6
_IN_THE_CAPTION = (Flag.COUNT, Flag.ALL_SEEDS_AGREE, Flag.ONE_SEED)
"""What the caption says of all entries."""


class Footnotes:
    """Letters for what single entries need said, in the order in which they are asked for."""

    def __init__(self, measured: Sequence[Measurement], units: tuple[str, str]) -> None:
        """Find what holds for a whole metric: said once, without a letter."""
        parts: dict[str, list[set[str]]] = defaultdict(list)
        for m in measured:
            parts[m.metric].append(set(_clauses(m)))
        self._common = {
            metric: set.intersection(*found) if len(found) > 1 else set() for metric, found in parts.items()
        }
        self._titles = {m.metric: m.title for m in measured}
        self._seeds = {metric: max(m.n for m in measured if m.metric == metric) for metric in parts}
        self._units = units
        self._letters: dict[str, str] = {}

    def marks(self, m: Measurement) -> list[str]:
        """The letters of an entry."""
        clauses = [clause for clause in _clauses(m) if clause not in self._common[m.metric]]
        if 0 < m.n < self._seeds[m.metric] and m.metric not in RATES and not math.isnan(m.value):
            clauses.append(f"n = {counted(m.n, *self._units)}")
        return [self._letters.setdefault(clause, _letter(len(self._letters))) for clause in clauses]

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """(letter, text) of those asked for, then what holds for whole metrics."""
        lettered = [(letter, _sentence(clause)) for clause, letter in self._letters.items()]
        common = [
            ("", f"{self._titles[metric]}: {'; '.join(sorted(clauses))}.")
            for metric, clauses in self._common.items()
            if clauses
        ]
        return (*lettered, *common)


def _clauses(m: Measurement) -> list[str]:
    shown = [remark for remark in m.remarks if remark.flag not in _IN_THE_CAPTION]
    # Where nothing trains, a rate is a rate all the same; its table has the fact beside the score.
    if m.metric in RATES:
        shown = [remark for remark in shown if remark.flag is not Flag.NOTHING_TRAINS]
    return [clause for clause in (m.source, *clauses(replace(m, remarks=tuple(shown)))) if clause]


def _letter(place: int) -> str:
    """Of a footnote: a to z, then aa, ab.

    >>> [_letter(place) for place in (0, 25, 26, 28)]
    ['a', 'z', 'aa', 'ac']
    """
    before = _letter(place // 26 - 1) if place >= 26 else ""
    return before + chr(ord("a") + place % 26)


def _sentence(clause: str) -> str:
    return f"{clause}." if clause.startswith("n = ") else f"{clause[:1].upper()}{clause[1:]}."


def pivot_caption(
    study: Study, measured: Sequence[Measurement], *, spread: Spread, delta: str, ranking: Ranking
) -> str:
    """What the numbers are, n, the interval or spread, the budget and the rule."""
    one, many = units(study)
    sentences = [title_sentence(study), *_metric_sentences(study, measured, spread, delta, many)]
    intervals = any(not math.isnan(m.low) for m in measured if spread == "interval" or m.metric != "score")
    if intervals:
        sentences.append(
            f"In brackets 95 % intervals over {whole(many)}, the learning rate tuned anew in each draw (width zero: all "
            f"{many} agree)."
        )
    seeds = {m.n for m in measured if m.metric not in (*RATES, "published") and not math.isnan(m.value)}
    seeds = seeds or {int(study.complete["seed_index"].nunique())}
    most = max(seeds)
    each = "" if len(seeds) == 1 else " at the most"
    sentences.append(f"n = {counted(most, one, many)}{each}.")
    if orders_of(study.spec) > 1:
        sentences.append(f"Seeds are {seeds_text(study)}.")
    if any(m.metric == "score" for m in measured) and study.is_confirmed:
        sentences.append("Scores are those of fresh seeds, which did not choose the learning rate.")
    sentences.append(rule_sentence(study))
    if ranking.best:
        sentences.append("Best in bold, second underlined." if ranking.second else "Best in bold.")
    return " ".join(sentences)


def _metric_sentences(
    study: Study, measured: Sequence[Measurement], spread: Spread, delta: str, many: str
) -> Iterator[str]:
    for metric in dict.fromkeys(m.metric for m in measured):
        own = [m for m in measured if m.metric == metric]
        if metric == "score":
            yield _score_sentence(study, own, spread, many)
        elif metric == "published":
            yield "Published: mean ± standard deviation as others state them."
        elif metric == "difference":
            yield (
                "Difference: our mean less theirs, in points, with its interval at our tuned learning rate (see the note)."
            )
        else:
            units = [unit_text(unit) for unit in dict.fromkeys(m.unit for m in own)]
            unit = " or ".join("percent" if unit == "%" else unit for unit in units if unit)
            sizes = {m.n for m in own if not math.isnan(m.value)}
            n = ""
            if metric in RATES:
                n = f", of n = {max(sizes, default=0)} trials" if len(sizes) < 2 else ", k of n trials"
            width = f", delta {delta}" if "window" in metric and delta else ""
            yield f"{own[0].title}: {METRICS[metric].doc}{f', in {unit}' if unit else ''}{n}{width}."


def _score_sentence(study: Study, own: Sequence[Measurement], spread: Spread, many: str) -> str:
    units = {m.unit for m in own if m.unit}  # a refused score has none
    names = {"accuracy": "test accuracy in percent", "loss": "test loss"}
    what = " or ".join(names[unit] for unit in sorted(units)) or "test score"
    tuned_on = {study.facts[m.task].selection for m in own if m.task is not None}
    how = "mean ± standard deviation" if spread == "sd" else "mean"
    return (
        f"Score: {what} of the final epoch, {how} over {many}, at the {tuned_lr_words(many)} with the best median "
        f"{' or '.join(sorted(tuned_on, reverse=True))} score. Seeds that do not train there are counted beside it and not averaged."
    )


def table_notes(
    study: Study,
    arrangement: Arrangement,
    ranking: Ranking,
    notes: Sequence[str],
    warnings: Sequence[str],
) -> Iterator[tuple[str, str]]:
    """What holds for the whole table."""
    titles = ", ".join(METRICS[metric].title for metric in ranking.metrics)
    over = (
        f"p < {LEVEL:g} after Holm's correction over {ranking.tested} "
        f"comparison{'' if ranking.tested == 1 else 's'}. Tested: {titles}"
    )
    if any(metric in RATES for metric in ranking.metrics):
        over += "; rates at learning rates measured from the centre of each one's skill"
    if ranking.differs:
        yield "†", f"Worse than the best by the paired test over seeds, {over}."
    elif ranking.tested:
        yield "", f"No difference from the best is significant by the paired test over seeds, {over}."
    for note in (*arrangement.notes, *notes):
        yield "", note
    seeds = int((study.complete["seed_index"] // orders_of(study.spec)).nunique())
    # Of drawn trials each is a seed of its own.
    few = seeds < FEW_SEEDS and units(study)[0] == "seed"
    if few and seeds == 1:
        yield "", "One seed: neither standard deviations nor intervals over seeds."
    elif few and not any("below 10" in text for text in warnings):
        yield "", f"{seeds} seeds: below {FEW_SEEDS} the intervals of skewed data cover less than they state."
    for text in warnings[:_WARNINGS]:
        yield "", text
    if len(warnings) > _WARNINGS:
        yield "", f"And {len(warnings) - _WARNINGS} more warnings, in the report."
