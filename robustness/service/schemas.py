"""What the API answers, for its description; NaN and infinities are null."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from robustness.store import StudyState
from robustness.summary.cells import OUTCOMES
from robustness.trial import TrialState

__all__ = [
    "CellRow",
    "EpochRow",
    "Health",
    "Metric",
    "Page",
    "ProblemRow",
    "Problems",
    "StudyRow",
    "StudySummary",
    "TrialRow",
]

Row = TypeVar("Row")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProblemRow(_Model):
    """One broken rule."""

    path: str = Field(description="of the field: tasks[0].epochs", examples=["tasks[0].epochs"])
    message: str = Field(examples=["must be a whole number, >= 1 and <= 100000, got 0"])


class Problems(_Model):
    """Why a request was refused."""

    detail: str
    problems: list[ProblemRow]


class Page(_Model, Generic[Row]):
    """A part of a list."""

    items: list[Row]
    total: int = Field(description="rows of the whole list")
    limit: int
    offset: int


class StudyRow(_Model):
    """A study and how far it is."""

    id: str = Field(examples=["quickstart"])
    title: str = Field(description="free text: escape it where it is shown")
    question: str = Field(description="free text: escape it where it is shown")
    state: StudyState
    cancelling: bool = Field(description="it runs, and was asked to stop")
    imported: bool = Field(description="other people's logs: it was not run here")
    created_at: str = Field(description="UTC, ISO 8601")
    updated_at: str = Field(description="when its last run began, or it was submitted")
    trials: int = Field(
        description="of its spec; of adaptive samplers, while it waits, the most there can be"
    )
    counts: dict[TrialState, int] = Field(description="trials in each state, as stored")
    trials_per_second: float | None = Field(
        description="over the minute before the trial that finished last, while it runs"
    )
    seconds_left: float | None = Field(description="at that rate, while it runs")
    error: str | None = Field(description="why it failed")


class StudySummary(StudyRow):
    """A study, and what a reader must know before believing its numbers."""

    warnings: list[str]
    warnings_pending: bool = Field(
        description="more may be found: a large study's are looked for beside the requests, and once it has stopped"
    )


class CellRow(_Model):
    """A cell: counts of outcomes, the rate of divergence with Wilson's interval, scores."""

    task: str
    optimizer: str
    lr: float
    init: str
    n: int = Field(description="complete trials")
    trained: int
    untrained: int
    nonfinite: int
    blowup: int
    diverged: int
    divergence_rate: float | None
    low: float | None
    high: float | None
    score_mean: float | None
    score_sd: float | None
    score_median: float | None
    stalled: int
    validation_median: float | None


class TrialRow(_Model):
    """A trial: what happened to its execution (state) and to its optimization (outcome)."""

    key: str = Field(description="content hash, 64 hexadecimal digits")
    task: str
    optimizer: str
    init: str
    reason: str = Field(description="why a sampler added it; empty where it was designed")
    lr: float
    seed_index: int
    state: TrialState
    outcome: str | None = Field(description=f"of a complete trial: {', '.join(OUTCOMES)}")
    side: str | None
    score: float | None
    skill: float | None
    attempts: int
    error: str | None
    finished_at: str | None
    first_nonfinite_step: int | None
    epochs: int | None
    train_loss: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    seconds: float | None


class EpochRow(_Model):
    """An epoch of a trial; null where a number is not finite. An epoch in which the trial dies is its last."""

    epoch: int
    train_loss: float | None
    train_loss_max: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    parameter_norm: float | None
    distance: float | None
    clamped_share: float | None
    seconds: float | None


class FlagWithNumbers(_Model):
    """A fact about a number, for programs; `robustness.summary.flags` says what the numbers are."""

    flag: str = Field(examples=["some-seeds-failed"])
    numbers: list[float]


class Metric(_Model):
    """A metric with its 95 % interval; null where there is none, and the note says why."""

    metric: str = Field(examples=["divergence_rate"])
    task: str | None
    optimizer: str
    init: str | None
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    note: str
    at: str
    remarks: list[FlagWithNumbers]


class Health(_Model):
    """The service answers, and its store too."""

    status: str = Field(examples=["ok"])
