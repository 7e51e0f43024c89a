"""What a metric says: one row of `robustness metrics`, and the list of all metrics."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from robustness.errors import SpecError, nearest
from robustness.summary.flags import Remark

__all__ = [
    "DEFAULT_DELTA",
    "METRICS",
    "Delta",
    "MetricInfo",
    "MetricRow",
    "Raw",
    "bounds_of",
    "check_metrics",
]

Better = Literal["higher", "lower", ""]


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricRow:
    """One number with its interval.

    Attributes:
        metric: its id, a key of `METRICS`.
        task: label; None over all tasks.
        optimizer: label.
        init: label; None where pooled over initializations.
        value: NaN where there is none; infinite where censored, and the note says so.
        low: end of the 95 % interval; NaN where there is none.
        high: the other end.
        n: trials behind a rate, seeds behind everything else.
        unit: of value and interval.
        note: what a reader must know: censored, no interval and why, selection on test data.
        at: the point of a curve, or against whom.
        remarks: facts that other code decides by, as flags.
    """

    metric: str
    task: str | None
    optimizer: str
    init: str | None
    value: float
    low: float
    high: float
    n: int
    unit: str
    note: str = ""
    at: str = ""
    remarks: tuple[Remark, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For JSON, which has no NaN and no infinities: they are null, and the note says why."""
        plain = asdict(self)
        for name in ("value", "low", "high"):
            if not math.isfinite(plain[name]):
                plain[name] = None
        if plain["value"] is None and not plain["note"]:
            plain["note"] = "not defined"
        return plain


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A metric before its interval: its value in every resample.

    Attributes:
        levels: of the `Resamples`.
        fixed: the ends of an interval that is not a bootstrap's.
        least_sd: of `resampling.estimates`.
    """

    metric: str
    init: str | None
    values_R: npt.NDArray[np.float64]
    levels: tuple[int, ...]
    n: int
    unit: str = ""
    note: str = ""
    at: str = ""
    fixed: tuple[float, float] | None = None
    least_sd: float = 0.0
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricInfo:
    """What a metric is: its unit ("" where the task decides), which direction is robust, a title for tables."""

    title: str
    unit: str
    better: Better
    doc: str


def _info(title: str, unit: str, better: Better, doc: str) -> MetricInfo:
    return MetricInfo(title=title, unit=unit, better=better, doc=doc)


METRICS: dict[str, MetricInfo] = {
    "divergence_rate": _info(
        "Diverged", "share", "lower", "trials that diverged, over the learning rates of the design"
    ),
    "nonfinite_rate": _info("Not finite", "share", "lower", "trials with a loss or norm that was not finite"),
    "not_trained_rate": _info("Not trained", "share", "lower", "trials that did not train, for any reason"),
    "rate_difference": _info(
        "Difference in rate", "share", "lower", "divergence rate less another optimizer's"
    ),
    "score": _info(
        "Score", "", "higher", "mean test score at the tuned learning rate, over the seeds that train there"
    ),
    "tuned_failure_rate": _info(
        "Not trained, tuned", "share", "lower", "seeds that do not train at the tuned learning rate"
    ),
    "skill": _info("Skill", "skill", "higher", "median skill over seeds at the tuned learning rate"),
    "tuned_lr": _info("Tuned lr", "log10 lr", "", "learning rate with the best median selection score"),
    "critical_lr": _info("Critical lr", "log10 lr", "higher", "where training ends, over seeds"),
    "margin": _info(
        "Margin",
        "decades",
        "higher",
        "decades that train above the centre of the skill over learning rates, mean over seeds",
    ),
    "tolerance_window": _info(
        "Window", "decades", "higher", "learning rates within delta of the tuned score"
    ),
    "joint_window": _info(
        "Joint window",
        "decades",
        "higher",
        "learning rates within delta of the tuned score, by the worst initialization's",
    ),
    "transfer_regret": _info(
        "Transfer regret", "skill", "lower", "skill lost at a learning rate tuned on another initialization"
    ),
    "lr_sensitivity": _info(
        "LR sensitivity", "loss", "lower", "mean capped training loss above the best one"
    ),
    "expected_score": _info(
        "Expected score",
        "",
        "higher",
        "mean score under a log-uniform prior of a decade each side of the default",
    ),
    "cvar_score": _info(
        "Worst tenth", "", "higher", "mean of the worst tenth of scores under the same prior"
    ),
    "accuracy_spread_sd": _info("Spread (sd)", "", "lower", "standard deviation of scores"),
    "accuracy_spread_iqr": _info("Spread (IQR)", "", "lower", "interquartile range of scores"),
    "accuracy_spread_p05": _info("5 % point", "", "higher", "5 % point of scores"),
    "accuracy_spread_worst": _info("Worst", "", "higher", "lowest score"),
    "init_sensitivity": _info(
        "Init sensitivity", "", "lower", "range over initializations of the median score"
    ),
    "hyperparameter_sensitivity": _info(
        "Hyperparameter sensitivity",
        "skill",
        "lower",
        "skill gained by tuning for each task and initialization",
    ),
    "effective_dimension": _info(
        "Effective dimension",
        "hyperparameters",
        "lower",
        "how many must be tuned for each task and initialization",
    ),
    "tunability": _info("Tunability", "", "lower", "tuned score less that at the default learning rate"),
    "expected_best_of_k": _info(
        "Best of k", "", "higher", "test score expected of the best of k random trials"
    ),
    "iqm": _info(
        "IQM", "skill", "higher", "interquartile mean of skill over seeds, tasks and initializations"
    ),
    "performance_profile": _info("Profile", "share", "higher", "runs with a skill above a threshold"),
    "optimality_gap": _info("Optimality gap", "skill", "lower", "by how much skill falls short of 1"),
    "probability_of_improvement": _info(
        "P(improvement)", "share", "higher", "chance that a run is better than another optimizer's"
    ),
    "comparison": _info("Difference", "", "", "difference from another optimizer, as `compare` makes it"),
    "importance": _info("Importance", "share", "", "share of the variance that an axis explains"),
}
"""Every metric, in the order of METRICS; a test holds that each is measured and documented."""


_NOT_NEGATIVE = (
    "tolerance_window",
    "joint_window",
    "lr_sensitivity",
    "accuracy_spread_sd",
    "accuracy_spread_iqr",
    "init_sensitivity",
    "hyperparameter_sensitivity",
    "optimality_gap",
)


def bounds_of(metric: str, unit: str) -> tuple[float, float]:
    """The least and the greatest value that a metric can have.

    >>> bounds_of("score", "accuracy"), bounds_of("skill", "skill")
    ((0.0, 1.0), (-inf, inf))
    """
    least = 0.0 if metric in _NOT_NEGATIVE else -math.inf
    if metric == "tunability" or not (unit == "share" or (unit == "accuracy" and METRICS[metric].unit == "")):
        return least, math.inf
    return (-1.0, 1.0) if metric == "rate_difference" else (0.0, 1.0)


def check_metrics(names: list[str]) -> None:
    """Check ids of metrics.

    Raises:
        SpecError: one is unknown; the nearest is offered.
    """
    for name in names:
        if name not in METRICS:
            raise SpecError.of("--metric", f"there is no metric {name!r:.80}; {nearest(name, METRICS)}")


@dataclass(frozen=True, slots=True)
class Delta:
    """How far below the tuned score a learning rate may lie: in units of the score, or as a share of skill."""

    value: float
    of_skill: bool

    @classmethod
    def parse(cls, text: str) -> Delta:
        """`0.02` is in units of the score, `5%` of skill.

        Raises:
            SpecError: neither, or negative.
        """
        of_skill = text.strip().endswith("%")
        try:
            value = float(text.strip().removesuffix("%"))
        except ValueError:
            value = math.nan
        if not 0 <= value < math.inf:
            raise SpecError.of(
                "--delta", f"must be a score >= 0 (0.02) or a share of skill (5%), got {text!r:.80}"
            )
        return cls(value / 100 if of_skill else value, of_skill)

    def in_score(self, span: float, *, is_loss: bool) -> float:
        """In units of the score, span being r - b; a loss has no unit of its own: always of skill."""
        return self.value * span if self.of_skill or is_loss else self.value

    def __str__(self) -> str:
        return f"{100 * self.value:g} % of skill" if self.of_skill else f"{self.value:g}"


DEFAULT_DELTA = Delta(0.05, of_skill=True)
