"""What a reviewer should know of a study, as codes with their numbers: warnings and audits are both made of these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

import numpy as np

from robustness.summary.audit_rows import (
    Budget,
    Labels,
    OptimizerLabels,
    RowEdges,
    Selection,
    Square,
    TaskLabels,
    VaryingSetting,
    budgets,
    fewest_seeds,
    labels,
    row_edges,
    selections,
    squares_short_of_seeds,
    varying_settings,
)
from robustness.summary.outcome import classify
from robustness.summary.rows import DEFAULT_DELTA, Delta
from robustness.summary.sampler_limits import designed, not_independent, sampler_of
from robustness.summary.study import Study

__all__ = ["FEW_SEEDS", "FLOORS", "CheckedRows", "Finding", "FindingCode", "assumed_facts", "study_findings"]

FEW_SEEDS = 10
"""Below so many the intervals of skewed data cover less than they state."""
FLOORS = (0.05, 0.2)
"""The skill floors that are compared with the study's own, to show how much its rates rest on it."""
_FLOOR_MATTERS = 0.005


class FindingCode(StrEnum):
    """One thing that a reviewer should know. Its numbers, in `Finding.numbers`, stand in brackets."""

    NO_TRIALS = "no-trials"
    NOTHING_COMPLETE = "nothing-complete"
    MISSING_TRIALS = "missing-trials"  # (missing, trials, failed)
    REPEATED_TRIALS = "repeated-trials"  # (how many)
    UNEVEN_BUDGETS = "uneven-budgets"
    SQUARES_LACK_TRIALS = "squares-lack-trials"  # (lacking, squares, without any)
    FEWER_SEEDS_THAN_ROW = "fewer-seeds-than-row"  # (fewer, squares)
    ASSUMED_FACT = "assumed-fact"
    ACCURACY_CANNOT_TELL = "accuracy-cannot-tell"
    TEST_SIZE_UNKNOWN = "test-size-unknown"
    CHOSEN_BY_EDGE = "chosen-by-edge"
    CHOSEN_BY_TPE = "chosen-by-tpe"
    FEW_SEEDS = "few-seeds"  # (seeds)
    SELECTED_ON_TEST = "selected-on-test"
    SAME_SEEDS = "same-seeds"
    FRESH_SEEDS = "fresh-seeds"  # (seeds)
    NOT_ALL_CONFIRMED = "not-all-confirmed"
    NOTHING_TO_SELECT = "nothing-to-select"
    DIFFERENT_LRS = "different-lrs"
    ONE_NOMINAL_GRID = "one-nominal-grid"
    DIVERGED_AT_ADDED_LRS_ALONE = "diverged-at-added-lrs-alone"  # (diverged, of) of each
    NO_LR_TRAINS = "no-lr-trains"  # (rows, of)
    MOST_SEEDS_DO_NOT_TRAIN = "most-seeds-do-not-train"  # (rows, of)
    TUNED_AT_EDGE = "tuned-at-edge"  # (rows, of)
    WINDOW_CENSORED = "window-censored"  # (rows, of, delta, whether of skill)
    CHANGEABLE_LABELS = "changeable-labels"  # (labels, of, by own seed, by other seeds, by loss rise)
    CHAOTIC_TRIALS = "chaotic-trials"  # (trials, largest rise in a step, largest multiple where steps are not known, trials of which)
    NON_MONOTONE_ROWS = "non-monotone-rows"  # (rows of a seed, of)
    FLOOR_MATTERS = "floor-matters"  # (floor, share) of the study, then of each of `FLOORS`
    SETTINGS_INSIDE_ROWS = "settings-inside-rows"
    # Of audits alone.
    SETTINGS_BETWEEN_LABELS = "settings-between-labels"
    NO_DEFAULT_COMPARED = "no-default-compared"
    TUNING_AGAINST_DEFAULT = "tuning-against-default"  # (better, compared, not compared)
    ADDED_TRIALS = "added-trials"  # (how many)
    UNEVEN_ADDITIONS = "uneven-additions"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        code: what it is.
        severity: bad where a number of the study cannot be believed as it stands, look where it needs a second look,
            info where it is only to be known.
        concerns: tasks, optimizers on tasks or rows.
        numbers: as its code states.
        text: of `ASSUMED_FACT`, what is assumed.
    """

    code: FindingCode
    severity: Literal["bad", "look", "info"] = "look"
    concerns: tuple[TaskLabels, ...] = ()
    numbers: tuple[float, ...] = ()
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckedRows:
    """What findings are counted from, of one study; empty where a sampler's choice leaves nothing to ask."""

    budgets: Sequence[Budget]
    squares: Sequence[Square]
    squares_in_all: int
    edges: Sequence[RowEdges]
    selections: Sequence[Selection]
    labels: Sequence[Labels]
    settings: Sequence[VaryingSetting]

    @classmethod
    def of(cls, study: Study, delta: Delta = DEFAULT_DELTA) -> CheckedRows:
        """Of a study; windows reach `delta` below the best."""
        sampler = sampler_of(study.spec)
        squares, in_all = squares_short_of_seeds(study, by_row=not not_independent(sampler))
        return cls(
            budgets=budgets(study),
            squares=squares,
            squares_in_all=in_all,
            edges=[] if not_independent(sampler) else row_edges(study.tuning, delta),
            selections=[] if sampler == "edge" else list(selections(study)),
            labels=list(labels(study)),
            settings=list(varying_settings(study)) if study.source else [],
        )


def study_findings(
    study: Study, delta: Delta = DEFAULT_DELTA, rows: CheckedRows | None = None
) -> list[Finding]:
    """Everything that applies, the gravest first.

    Args:
        study: classified.
        delta: of the tolerance windows.
        rows: of the study, where they are known already.
    """
    rows = rows or CheckedRows.of(study, delta)
    findings = [*_trials(study, rows), *_squares(rows)]
    if len(study.complete):
        findings += [
            *assumed_facts(study),
            *_task_facts(study),
            *_seeds(study, rows),
            *_grids(study),
            *_edges(rows.edges, delta),
            *_labels(study, rows.labels),
        ]
    findings += _settings(rows.settings)
    return sorted(findings, key=lambda finding: ("bad", "look", "info").index(finding.severity))


def _trials(study: Study, rows: CheckedRows) -> Iterator[Finding]:
    if not len(study.trials):
        yield Finding(code=FindingCode.NO_TRIALS)
    if not len(study.complete):
        yield Finding(code=FindingCode.NOTHING_COMPLETE)
    missing, failed = (sum(getattr(row, name) for row in rows.budgets) for name in ("missing", "failed"))
    if missing:
        yield Finding(code=FindingCode.MISSING_TRIALS, numbers=(missing, len(study.trials), failed))
    repeated = study.complete.duplicated(["task", "optimizer", "init", "lr", "seed_index"]).sum()
    if repeated:
        yield Finding(code=FindingCode.REPEATED_TRIALS, numbers=(int(repeated),))
    sizes = {
        row.task: {other.trials for other in rows.budgets if other.task == row.task} for row in rows.budgets
    }
    uneven = tuple(TaskLabels(task=task) for task, different in sizes.items() if len(different) > 1)
    if uneven and sampler_of(study.spec) != "edge":  # which stops when it knows
        yield Finding(code=FindingCode.UNEVEN_BUDGETS, severity="bad", concerns=uneven)


def _squares(rows: CheckedRows) -> Iterator[Finding]:
    lacking = tuple(row for row in rows.squares if row.complete < row.planned)
    empty = sum(row.complete == 0 for row in lacking)
    if lacking:
        yield Finding(
            code=FindingCode.SQUARES_LACK_TRIALS,
            severity="bad" if empty else "look",
            concerns=lacking,
            numbers=(len(lacking), rows.squares_in_all, empty),
        )
    fewer = tuple(row for row in rows.squares if row.planned < row.seeds)
    if fewer:
        numbers = (len(fewer), rows.squares_in_all)
        yield Finding(code=FindingCode.FEWER_SEEDS_THAN_ROW, concerns=fewer, numbers=numbers)


def assumed_facts(study: Study) -> list[Finding]:
    """What stands in for facts of the tasks that nobody knows, one finding for each stand-in."""
    tasks: dict[str, list[TaskLabels]] = {}
    for task, constants in study.facts.items():
        for text in constants.assumed:
            tasks.setdefault(text, []).append(TaskLabels(task=task))
    return [
        Finding(code=FindingCode.ASSUMED_FACT, concerns=tuple(of), text=text) for text, of in tasks.items()
    ]


def _task_facts(study: Study) -> Iterator[Finding]:
    facts = [(TaskLabels(task=task), constants) for task, constants in study.facts.items()]
    cannot_tell = tuple(task for task, constants in facts if not constants.accuracy_tells)
    if cannot_tell:
        yield Finding(code=FindingCode.ACCURACY_CANNOT_TELL, severity="bad", concerns=cannot_tell)
    no_error = tuple(
        t for t, constants in facts if constants.score == "accuracy" and constants.test_size is None
    )
    if no_error:
        yield Finding(code=FindingCode.TEST_SIZE_UNKNOWN, severity="info", concerns=no_error)


def _seeds(study: Study, rows: CheckedRows) -> Iterator[Finding]:
    sampler = sampler_of(study.spec)
    if sampler in ("edge", "tpe"):
        code = FindingCode.CHOSEN_BY_EDGE if sampler == "edge" else FindingCode.CHOSEN_BY_TPE
        yield Finding(code=code, severity="info")
    # Of random searches each trial is a seed; else what counts is the tuned square with the fewest.
    seeds = fewest_seeds(study.complete, () if not_independent(sampler) else study.tuning)
    if seeds < FEW_SEEDS:
        yield Finding(code=FindingCode.FEW_SEEDS, numbers=(seeds,))
    if sampler == "edge":
        return
    if not rows.selections:
        yield Finding(code=FindingCode.NOTHING_TO_SELECT)
        return
    on_test = tuple(row for row in rows.selections if row.data == "test")
    if on_test:
        yield Finding(code=FindingCode.SELECTED_ON_TEST, severity="bad", concerns=on_test)
    confirming = int(study.confirming["seed_index"].nunique())
    if study.is_confirmed:
        yield Finding(code=FindingCode.FRESH_SEEDS, severity="info", numbers=(confirming,))
        return
    if confirming:
        yield Finding(code=FindingCode.NOT_ALL_CONFIRMED)
    if len(on_test) < len(rows.selections):  # tasks on test data have a finding of their own
        yield Finding(code=FindingCode.SAME_SEEDS, severity="info")


def _grids(study: Study) -> Iterator[Finding]:
    if not_independent(sampler_of(study.spec)):
        return
    trials = designed(study.trials)
    grids = {tuple(sorted(lrs)) for lrs in trials.groupby(["task", "optimizer"], sort=False)["lr"].unique()}
    by_init = [
        {tuple(sorted(lrs)) for lrs in of_pair.groupby("init")["lr"].unique()}
        for pair, of_pair in trials.groupby(["task", "optimizer"], sort=False)
        if pair not in study.grid.binned
    ]
    if len(grids) > 1 or any(len(lrs) > 1 for lrs in by_init):
        yield Finding(code=FindingCode.DIFFERENT_LRS)
    elif trials["optimizer"].nunique() > 1:
        yield Finding(code=FindingCode.ONE_NOMINAL_GRID, severity="info")
    concerns, numbers = [], []
    for cube in study.grid.cubes:
        of_design, at_added = (cube.diverged_SIL[..., lrs_L] for lrs_L in (cube.designed_L, ~cube.designed_L))
        if np.nansum(at_added) and not np.nansum(of_design):
            concerns.append(OptimizerLabels(task=cube.task, optimizer=cube.optimizer))
            numbers += [float(np.nansum(at_added)), float((~np.isnan(at_added)).sum())]
    if concerns:
        code = FindingCode.DIVERGED_AT_ADDED_LRS_ALONE
        yield Finding(code=code, concerns=tuple(concerns), numbers=tuple(numbers))


def _edges(rows: Sequence[RowEdges], delta: Delta) -> Iterator[Finding]:
    by_code = {
        FindingCode.TUNED_AT_EDGE: tuple(row for row in rows if row.tuned),
        FindingCode.NO_LR_TRAINS: tuple(row for row in rows if not row.trains),
        FindingCode.MOST_SEEDS_DO_NOT_TRAIN: tuple(row for row in rows if row.trains and not row.mostly),
        FindingCode.WINDOW_CENSORED: tuple(row for row in rows if row.is_censored),
    }
    for code, concerns in by_code.items():
        if concerns:
            window = (delta.value, delta.of_skill) if code is FindingCode.WINDOW_CENSORED else ()
            numbers = (len(concerns), len(rows), *window)
            severity: Literal["bad", "look"] = "bad" if code is FindingCode.TUNED_AT_EDGE else "look"
            yield Finding(code=code, severity=severity, concerns=concerns, numbers=numbers)


def _labels(study: Study, rows: Sequence[Labels]) -> Iterator[Finding]:
    bases = [
        sum(getattr(row.changeable, name) for row in rows)
        for name in ("own_seed", "other_seeds", "loss_rise")
    ]
    if sum(bases):
        numbers = (sum(bases), len(study.complete), *bases)
        yield Finding(code=FindingCode.CHANGEABLE_LABELS, numbers=numbers)
    chaotic = sum(row.chaotic for row in rows)
    if chaotic:
        without_steps = int(study.complete["max_loss_rise"].isna().sum())
        numbers = (chaotic, study.thresholds.chaotic_rise, study.thresholds.chaos, without_steps)
        yield Finding(code=FindingCode.CHAOTIC_TRIALS, numbers=numbers)
    gaps = tuple(gap for row in rows for gap in row.gaps)
    if gaps:
        numbers = (sum(len(gap.seeds) for gap in gaps), sum(row.seed_rows for row in rows))
        yield Finding(code=FindingCode.NON_MONOTONE_ROWS, concerns=gaps, numbers=numbers)
    own = float((study.complete["outcome"] != "trained").mean())
    shares = [_not_trained_at(study, floor) for floor in FLOORS]
    if max(*shares, own) - min(*shares, own) >= _FLOOR_MATTERS:
        floors = [value for pair in zip(FLOORS, shares, strict=True) for value in pair]
        yield Finding(code=FindingCode.FLOOR_MATTERS, numbers=(study.thresholds.skill_floor, own, *floors))


def _not_trained_at(study: Study, floor: float) -> float:
    """The share of complete trials that do not train at a skill floor."""
    rules = replace(study.thresholds, skill_floor=floor)
    reclassified = classify(study.complete[study.trials.columns], study.facts, rules)
    return float((reclassified["outcome"] != "trained").mean())


def _settings(rows: Sequence[VaryingSetting]) -> Iterator[Finding]:
    for code, inside in (
        (FindingCode.SETTINGS_INSIDE_ROWS, True),
        (FindingCode.SETTINGS_BETWEEN_LABELS, False),
    ):
        concerns = tuple(row for row in rows if row.inside is inside)
        if concerns:
            yield Finding(code=code, concerns=concerns)
