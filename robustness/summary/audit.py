"""An audit of a study: what a reviewer asks before believing its numbers, section by section."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Generic, Literal, TypeVar

from robustness.phrases import counted, listed
from robustness.summary.audit_rows import (
    Addition,
    AgainstDefault,
    Labels,
    Selection,
    Square,
    VaryingSetting,
    added,
    against_defaults,
    labels,
    lacking,
    selections,
    varying_settings,
)
from robustness.summary.checks import (
    FEW_SEEDS,
    Budget,
    ChangeableLabels,
    RowEdges,
    budgets,
    row_edges,
    uneven_tasks,
)
from robustness.summary.confirmed import are_confirmed
from robustness.summary.rows import DEFAULT_DELTA
from robustness.summary.sampler_limits import not_meant, sampler_of
from robustness.summary.study import Study

__all__ = ["AuditInfo", "Section", "Verdict", "audit_info"]

Verdict = Literal["ok", "look", "bad"]
Row = TypeVar("Row")
NOTHING = "nothing is complete yet"


@dataclass(frozen=True, kw_only=True, slots=True)
class Section(Generic[Row]):
    """One thing that a reviewer asks.

    Attributes:
        verdict: bad where a number of the study cannot be believed as it stands, look where it needs a second look.
        says: the answer in a sentence, without its full stop.
        rows: what it rests on, in the study's order.
    """

    verdict: Verdict
    says: str
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditInfo:
    """What `robustness audit` says.

    Attributes:
        settings: of an import; None for a study that was run here, whose spec says what varies.
        additions: None for a study that was designed beforehand.
    """

    study: str
    title: str
    budgets: Section[Budget]
    missing: Section[Square]
    edges: Section[RowEdges]
    defaults: Section[AgainstDefault]
    selection: Section[Selection]
    labels: Section[Labels]
    settings: Section[VaryingSetting] | None
    additions: Section[Addition] | None

    def as_json(self) -> dict[str, Any]:
        """For JSON, which has no NaN: it is null."""
        return {name: _without_nan(value) for name, value in asdict(self).items()}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def audit_info(study: Study) -> AuditInfo:
    """Audit a study, complete or not; windows reach 5 % of skill below the best.

    Args:
        study: classified.
    """
    samples = study.tuning
    given = budgets(study)
    sampler = sampler_of(study.spec)
    window, tuned = (not_meant(metric, sampler) for metric in ("tolerance_window", "tuned_lr"))
    return AuditInfo(
        study=study.name,
        title=study.title,
        budgets=_spent(given, sampler) if sampler == "edge" else _budgets(given),
        missing=_missing(*lacking(study, by_row=not window)),
        edges=_not_asked(window) if window else _edges(row_edges(samples, DEFAULT_DELTA)),
        defaults=_not_asked(window) if window else _defaults(list(against_defaults(study, samples))),
        selection=_not_asked(tuned)
        if tuned
        else _selection(list(selections(study, samples)), fresh=are_confirmed(samples)),
        labels=_labels(list(labels(study, samples))),
        settings=_settings(list(varying_settings(study))) if study.source else None,
        additions=_additions(added(study), given, even=sampler != "edge"),
    )


def _not_asked(why: str) -> Section[Any]:
    return Section(verdict="ok", says=f"{why}: there is nothing to ask")


def _spent(rows: Sequence[Budget], sampler: str) -> Section[Budget]:
    """Of a sampler that stops when it knows: budgets cannot be equal."""
    missing, trials = (sum(getattr(row, name) for row in rows) for name in ("missing", "trials"))
    says = f"{sampler} tried as much as each row needed, {trials:,} trials in all"
    says += f"; {missing:,} are missing" if missing else ""
    return Section(verdict="look" if missing else "ok", says=says, rows=tuple(rows))


def _budgets(rows: Sequence[Budget]) -> Section[Budget]:
    uneven = uneven_tasks(rows)
    sizes = {row.task: row.trials for row in rows}
    missing, failed, trials = (
        sum(getattr(row, name) for row in rows) for name in ("missing", "failed", "trials")
    )
    if not rows:
        return Section(verdict="look", says="the study has no trials yet")
    if uneven:
        says = f"optimizers have different numbers of trials on {listed(uneven)}"
    elif len(rows) == len(sizes):
        says = "one optimizer a task: there is no budget to compare"
    else:
        each = sorted(set(sizes.values()))
        says = f"every optimizer gets the same budget, {each[0]:,} trials" + (
            f" to {each[-1]:,} by task" if len(each) > 1 else " a task" if len(sizes) > 1 else ""
        )
    if missing:
        says += f"; {missing:,} of {trials:,} trials are missing, {failed:,} of them failed"
    return Section(verdict="bad" if uneven else "look" if missing else "ok", says=says, rows=tuple(rows))


def _missing(rows: Sequence[Square], squares: int) -> Section[Square]:
    lost = [row for row in rows if row.complete < row.planned]
    empty = sum(row.complete == 0 for row in lost)
    fewer = len([row for row in rows if row.planned < row.seeds])
    if not rows:
        says = "every square has all seeds of its row" if squares else "there are no squares yet"
        return Section(verdict="ok" if squares else "look", says=says)
    parts = [
        f"{len(lost):,} of {counted(squares, 'square')} lack trials that were planned" if lost else "",
        f"{empty:,} have none" if empty else "",
        f"{fewer:,} of {counted(squares, 'square')} were given fewer seeds than their row has"
        if fewer
        else "",
    ]
    says = "; ".join(part for part in parts if part)
    return Section(verdict="bad" if empty else "look", says=says, rows=tuple(rows))


def _edges(rows: Sequence[RowEdges]) -> Section[RowEdges]:
    if not rows:
        return Section(verdict="look", says=NOTHING)
    tuned = sum(bool(row.tuned) for row in rows)
    censored = sum(bool(row.window) or row.cut for row in rows)
    dead = sum(not row.trains for row in rows)
    few = sum(row.trains and not row.mostly for row in rows)
    of = counted(len(rows), "row")
    parts = [
        f"the tuned learning rate is at the edge of what was tried in {tuned:,} of {of}" if tuned else "",
        f"the window (within {DEFAULT_DELTA} of the best) is censored in {censored:,} of {of}"
        if censored
        else "",
        f"most seeds train at no learning rate in {few:,} of {of}" if few else "",
        f"nothing trains in {dead:,} of {of}" if dead else "",
    ]
    found = [part for part in parts if part]
    says = "; ".join(found) or f"the optimum and its window lie inside what was tried in {of}"
    return Section(verdict="bad" if tuned else "look" if found else "ok", says=says, rows=tuple(rows))


def _defaults(rows: Sequence[AgainstDefault]) -> Section[AgainstDefault]:
    if not rows:
        return Section(verdict="look", says=NOTHING)
    known = [row for row in rows if math.isfinite(row.gain)]
    if not known:
        says = "no row can be compared with its optimizer's default"
        return Section(verdict="look", says=says, rows=tuple(rows))
    better = sum(row.low > 0 for row in known)
    says = (
        f"tuning helps, with an interval above 0, in {better:,} of "
        f"{counted(len(known), 'row')} with the optimizer's default among {'its' if len(known) == 1 else 'their'} "
        "learning rates"
    )
    without = len(rows) - len(known)
    says += f"; {without:,} cannot be compared" if without else ""
    return Section(verdict="look" if without else "ok", says=says, rows=tuple(rows))


def _selection(rows: Sequence[Selection], *, fresh: bool) -> Section[Selection]:
    if not rows:
        return Section(verdict="look", says="no learning rate trains yet")
    on_test = [row.task for row in rows if row.data == "test"]
    few = min(row.seeds for row in rows)
    if on_test:
        says = (
            f"learning rates are selected and reported on the same test data and seeds on {listed(on_test)}"
        )
        return Section(verdict="bad", says=f"{says}: tuned scores are too good", rows=tuple(rows))
    if fresh:
        says = "learning rates are selected on validation data and reported on test data of fresh seeds"
        return Section(verdict="ok", says=says, rows=tuple(rows))
    says = (
        "learning rates are selected on validation data and reported on test data of the same seeds: "
        "tuned scores are a little too good"
    )
    says += f", the more so with {counted(few, 'seed')}" if few < FEW_SEEDS else ""
    return Section(verdict="look" if few < FEW_SEEDS else "ok", says=says, rows=tuple(rows))


def _labels(rows: Sequence[Labels]) -> Section[Labels]:
    if not rows:
        return Section(verdict="look", says=NOTHING)
    complete, chaotic, total = (
        sum(getattr(row, name) for row in rows) for name in ("complete", "chaotic", "seed_rows")
    )
    changeable = ChangeableLabels(
        **{
            field.name: sum(getattr(row.changeable, field.name) for row in rows)
            for field in fields(ChangeableLabels)
        }
    )
    odd = sum(len(gap.seeds) for row in rows for gap in row.gaps)
    parts = [
        f"{changeable.total:,} of {counted(complete, 'label')} can change when trials are added: {changeable.bases}"
        if changeable.total
        else "",
        f"{counted(chaotic, 'trial')} {'is' if chaotic == 1 else 'are'} chaotic" if chaotic else "",
        f"{odd:,} of {counted(total, 'row')} of a seed train above a learning rate that does not"
        if odd
        else "",
    ]
    found = [part for part in parts if part]
    says = "; ".join(found) or "every label rests on its own trial, none is chaotic, every row is monotone"
    return Section(verdict="look" if found else "ok", says=says, rows=tuple(rows))


def _settings(rows: Sequence[VaryingSetting]) -> Section[VaryingSetting]:
    inside, between = (
        listed(list(dict.fromkeys(row.setting for row in rows if row.inside == where)))
        for where in (True, False)
    )
    parts = [
        f"inside rows there are several values of {inside}: their trials are no repetitions of one setting"
        if inside
        else "",
        f"an optimizer has a label for each value of {between}, and each label is tuned by itself"
        if between
        else "",
    ]
    says = "; ".join(part for part in parts if part)
    return Section(
        verdict="look" if rows else "ok",
        says=says or "nothing that was logged as a number varies inside a row but the learning rate",
        rows=tuple(rows),
    )


def _additions(rows: Sequence[Addition], pairs: Sequence[Budget], *, even: bool) -> Section[Addition] | None:
    if not rows:
        return None
    given = {(pair.task, pair.optimizer): 0 for pair in pairs}
    for row in rows:
        given[row.task, row.optimizer] += row.trials
    by_task: dict[str, set[int]] = {}
    for (task, _), trials in given.items():
        by_task.setdefault(task, set()).add(trials)
    uneven = [task for task, sizes in by_task.items() if even and len(sizes) > 1]
    says = f"the sampler chose {counted(sum(given.values()), 'trial')} by their results"
    says += f"; optimizers were given different numbers of them on {listed(uneven)}" if uneven else ""
    return Section(verdict="look" if uneven else "ok", says=says, rows=tuple(rows))
