"""A sentence or two for every finding: what reports, pages and notes of tables warn of."""

from __future__ import annotations

from collections.abc import Callable

from robustness.phrases import counted, listed
from robustness.summary.audit_rows import OptimizerLabels, RowLabels, TaskLabels, VaryingSetting
from robustness.summary.findings import FEW_SEEDS, Finding, FindingCode, assumed_facts, study_findings
from robustness.summary.rows import DEFAULT_DELTA, Delta
from robustness.summary.study import Study
from robustness.summary.tasks import ACCURACY_CANNOT_TELL

__all__ = ["assumed_fact_warnings", "finding_text", "study_warnings"]

_AUDIT_ONLY = (
    FindingCode.SQUARES_LACK_TRIALS,
    FindingCode.NOTHING_TO_SELECT,
    FindingCode.SETTINGS_BETWEEN_LABELS,
)


def study_warnings(study: Study, delta: Delta = DEFAULT_DELTA) -> list[str]:
    """What a reader must know before believing a study's numbers, the gravest first; empty where there is nothing.

    Args:
        study: classified.
        delta: of the tolerance windows.
    """
    if not len(study.complete):
        return [finding_text(Finding(code=FindingCode.NOTHING_COMPLETE))]
    return [finding_text(f) for f in study_findings(study, delta) if f.code not in _AUDIT_ONLY]


def assumed_fact_warnings(study: Study) -> list[str]:
    """What stands in for facts of the tasks that nobody knows."""
    return [finding_text(finding) for finding in assumed_facts(study)]


def finding_text(finding: Finding, *, with_rows: bool = True) -> str:
    """A finding in sentences.

    Args:
        finding: what is said.
        with_rows: the rows and optimizers that it concerns are listed; tasks always are.
    """
    if finding.code is FindingCode.DIVERGED_AT_ADDED_LRS_ALONE:
        counts = zip(finding.numbers[::2], finding.numbers[1::2], strict=True)
        names = [
            f"{_name(labels)} ({diverged:.0f} of {of:.0f})"
            for labels, (diverged, of) in zip(finding.concerns, counts, strict=True)
        ]
    else:
        names = [_name(labels) for labels in finding.concerns]
    text = listed(names)
    if any(isinstance(labels, OptimizerLabels) for labels in finding.concerns):
        rows = f": {text}" if with_rows else ""
        return _OF_ROWS[finding.code](finding.numbers, rows)
    if finding.code is FindingCode.ASSUMED_FACT:
        return f"{text}: {finding.text}."
    return _OF_TASKS[finding.code](finding.numbers, text)


def _name(labels: TaskLabels) -> str:
    if isinstance(labels, RowLabels):
        return f"{labels.optimizer} on {labels.task}, {labels.init}"
    if isinstance(labels, VaryingSetting):
        return labels.setting
    return f"{labels.optimizer} on {labels.task}" if isinstance(labels, OptimizerLabels) else labels.task


_Numbers = tuple[float, ...]


def _of(numbers: _Numbers, what: str = "row") -> str:
    """How many of all, with their noun: `1 of 3 rows`."""
    return f"{numbers[0]:,} of {counted(int(numbers[1]), what)}"


def _is(n: float) -> str:
    return "is" if n == 1 else "are"


def _changeable(n: _Numbers, _: str) -> str:
    bases = ("other learning rates of their seed", "other seeds of their row", "a rise of the training loss")
    parts = ", ".join(f"{count:,} on {basis}" for count, basis in zip(n[2:], bases, strict=True) if count)
    return f"{_of(n, 'label')} can change when trials are added. They rest on more than their own trial: {parts}."


def _floors(n: _Numbers, _: str) -> str:
    own, low, high = (f"{100 * share:.1f} %" for share in n[1::2])
    floor, low_floor, high_floor = n[::2]
    return (
        f"At this study's skill floor of {floor:g}, {own} of the complete trials did not train. "
        f"At a floor of {low_floor:g} it would be {low}, at {high_floor:g} {high}."
    )


def _missing(n: _Numbers, _: str) -> str:
    missing, trials, failed = n
    return f"{missing:,} of {trials:,} trials {_is(missing)} missing ({failed:,} failed). Rates are over the others."


_OF_TASKS: dict[FindingCode, Callable[[_Numbers, str], str]] = {
    FindingCode.NO_TRIALS: lambda n, _: "The study has no trials yet.",
    FindingCode.NOTHING_COMPLETE: lambda n, _: "Nothing is complete yet.",
    FindingCode.MISSING_TRIALS: _missing,
    FindingCode.REPEATED_TRIALS: lambda n, _: (
        f"{counted(int(n[0]), 'trial')} {'repeats' if n[0] == 1 else 'repeat'} a square and a seed. Metrics take the "
        "first of each."
    ),
    FindingCode.UNEVEN_BUDGETS: lambda n, tasks: f"Optimizers have different numbers of trials on {tasks}.",
    FindingCode.ACCURACY_CANNOT_TELL: lambda n, tasks: (
        f"{tasks}: {ACCURACY_CANNOT_TELL}. What stayed finite and did not blow up passes for trained, and its side is "
        "unresolved. Rates that rest on it are not stated. Squares count only the others as diverged."
    ),
    FindingCode.TEST_SIZE_UNKNOWN: lambda n, tasks: (
        f"{tasks}: the number of independent test items is not known, so chance has no standard error."
    ),
    FindingCode.CHOSEN_BY_EDGE: lambda n, _: (
        "Learning rates were chosen by edge, around where training ends. Rates, windows and scores over them say "
        "nothing of robustness. Critical learning rates are nominal: an optimizer with smaller steps ends later."
    ),
    FindingCode.CHOSEN_BY_TPE: lambda n, _: (
        "Settings were chosen by tpe, where scores are best. Rates and windows over them say nothing of robustness. "
        "Tuned scores are those of a search with this budget."
    ),
    FindingCode.FEW_SEEDS: lambda n, _: (
        f"{counted(int(n[0]), 'seed')}: below {FEW_SEEDS} the intervals of skewed data cover less than they state."
    ),
    FindingCode.SELECTED_ON_TEST: lambda n, tasks: (
        f"{tasks}: there are no validation scores, so learning rates are selected on test data. Tuned scores on the "
        "same data are too good."
    ),
    FindingCode.SAME_SEEDS: lambda n, _: (
        "Learning rates are selected and reported on the same seeds, so tuned scores are a little too good."
    ),
    FindingCode.FRESH_SEEDS: lambda n, _: (
        f"Scores at tuned learning rates are those of {counted(int(n[0]), 'fresh seed')}. These did not choose the "
        "learning rates, and they count in no rate."
    ),
    FindingCode.NOT_ALL_CONFIRMED: lambda n, _: (
        "Not every tuned learning rate is confirmed yet, so scores are those of the seeds that chose it."
    ),
    FindingCode.NOTHING_TO_SELECT: lambda n, _: "No learning rate trains yet.",
    FindingCode.DIFFERENT_LRS: lambda n, _: (
        "Optimizers, tasks or initializations have different learning rates, so rates pooled over them are not "
        "comparable."
    ),
    FindingCode.ONE_NOMINAL_GRID: lambda n, _: (
        "All optimizers share one nominal grid, on which one with a smaller effective step looks more robust. Rates do "
        "not separate the two. Windows and the command compare do."
    ),
    FindingCode.CHANGEABLE_LABELS: _changeable,
    FindingCode.CHAOTIC_TRIALS: lambda n, _: (
        f"{counted(int(n[0]), 'trial')} {_is(n[0])} chaotic: in one step the loss rose by more than {n[1]:g} times where it "
        "began. Rounding (another machine, or --pack 1) can decide how such a trial ends."
        + (
            f" Where losses of single steps were not recorded ({counted(int(n[3]), 'trial')}), those count whose loss was "
            f"once beyond {n[2]:g} times where it began."
            if n[3]
            else ""
        )
    ),
    FindingCode.FLOOR_MATTERS: _floors,
    FindingCode.NO_DEFAULT_COMPARED: lambda n, _: "No row can be compared with its optimizer's default.",
    FindingCode.TUNING_AGAINST_DEFAULT: lambda n, _: (
        f"Tuning helps, with an interval above 0, in {_of(n)} with the optimizer's default among "
        f"{'its' if n[1] == 1 else 'their'} learning rates."
        + (f" {counted(int(n[2]), 'row')} cannot be compared." if n[2] else "")
    ),
    FindingCode.ADDED_TRIALS: lambda n, _: (
        f"The sampler chose {counted(int(n[0]), 'trial')} by the results of others."
    ),
    FindingCode.UNEVEN_ADDITIONS: lambda n, tasks: (
        f"Optimizers were given different numbers of them on {tasks}."
    ),
}
"""Of studies and tasks, which are named."""

_OF_ROWS: dict[FindingCode, Callable[[_Numbers, str], str]] = {
    FindingCode.SQUARES_LACK_TRIALS: lambda n, rows: (
        f"Trials that were planned are missing in {_of(n, 'square')}{rows}."
        + (f" In {n[2]:,} of these none is complete." if n[2] else "")
    ),
    FindingCode.FEWER_SEEDS_THAN_ROW: lambda n, rows: (
        f"Fewer seeds were run in {_of(n, 'square')} than elsewhere in the row{rows}. Rates over a row weigh its "
        "squares equally. --seed-filter keeps the seeds that have them all."
    ),
    FindingCode.DIVERGED_AT_ADDED_LRS_ALONE: lambda n, rows: (
        "No trial of the design diverged, but trials did at learning rates that a sampler added, which count in no rate"
        f"{rows}."
    ),
    FindingCode.TUNED_AT_EDGE: lambda n, rows: (
        f"The tuned learning rate is at the grid's edge in {_of(n)}{rows}."
    ),
    FindingCode.NO_LR_TRAINS: lambda n, rows: f"No learning rate trains in {_of(n)}{rows}.",
    FindingCode.MOST_SEEDS_DO_NOT_TRAIN: lambda n, rows: (
        f"Most seeds train at no learning rate in {_of(n)}{rows}."
    ),
    FindingCode.WINDOW_CENSORED: lambda n, rows: (
        f"The window (within {Delta(n[2], bool(n[3]))} of the best) reaches the grid's edge or a missing square in "
        f"{_of(n)}{rows}. It is at least as wide as stated."
    ),
    FindingCode.NON_MONOTONE_ROWS: lambda n, rows: (
        f"In {_of(n, 'row')} of a seed a learning rate trains above one that does not{rows}."
    ),
    FindingCode.SETTINGS_INSIDE_ROWS: lambda n, settings: (
        f"Trials of one row differ in more than the learning rate and the seed, so they are no repetitions{settings}."
    ),
    FindingCode.SETTINGS_BETWEEN_LABELS: lambda n, settings: (
        f"An optimizer has several labels by its other settings, and each label is tuned by itself{settings}."
    ),
}
"""Of rows, optimizers and settings, which may be listed: `rows` is a colon and their names, or nothing."""
