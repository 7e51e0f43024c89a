"""Figures that others published, beside ours.

A published figure matches a task by data set, model and normalization layers and an optimizer by what it is
(`optimizer_names`); where several match, those with the task's batch size come before the rest.

Nobody states the number of runs behind a published mean. The interval of a difference takes the published standard
deviation for the standard error of the mean, as if it were one run's: the widest interval their figures allow.
Ours is Student's, over seeds at the tuned learning rate; the two are combined by MOVER (Zou & Donner 2008).
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from robustness.catalog import OPTIMIZERS
from robustness.errors import Problem, SpecError, nearest
from robustness.summary import Study
from robustness.summary.flags import Flag, Remark
from robustness.tables.measured import Measurement
from robustness.trial import ImportedTask, TaskConfig

__all__ = ["COLUMNS", "Published", "beside", "optimizer_names", "read_published"]

COLUMNS = (
    "source",
    "task",
    "model",
    "norm_layers",
    "optimizer",
    "lr",
    "batch_size",
    "epochs",
    "metric",
    "mean",
    "std",
)
_NUMBERS = ("lr", "batch_size", "epochs", "mean", "std")
_METRIC = "test_accuracy"
_Z = 1.959963984540054


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """One figure; texts are empty, numbers NaN, where not stated. Accuracies are in percent."""

    source: str
    task: str
    model: str
    norm_layers: str
    optimizer: str
    lr: float
    batch_size: float
    epochs: float
    metric: str
    mean: float
    std: float

    @property
    def budget(self) -> str:
        """Learning rate, batch size and epochs, where stated."""
        parts = [
            f"{name} {value:g}"
            for name, value in (("lr", self.lr), ("batch", self.batch_size), ("epochs", self.epochs))
            if not math.isnan(value)
        ]
        return ", ".join(parts) or "no budget stated"

    @property
    def combination(self) -> str:
        """Task, model and normalization layers."""
        return " ".join(part for part in (self.task, self.model, f"norm {self.norm_layers or '?'}") if part)


def read_published(name: str) -> list[Published]:
    """Read a file of figures, or by its short name one that comes with the package (`insgd`).

    Raises:
        SpecError: no such file, a column missing, or a value that is no number, with its line.
    """
    shipped = resources.files("robustness.catalog") / "published"
    names = sorted(entry.name.removesuffix(".csv") for entry in shipped.iterdir())
    try:
        text = (shipped / f"{name}.csv" if name in names else Path(name)).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SpecError.of("--compare", f"there is no file {name!r:.200}; {nearest(name, names)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError.of("--compare", f"{name!r:.200} cannot be read as text: {error}") from None
    return _parsed(text)


def _parsed(text: str) -> list[Published]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", restval="")
    try:
        lines = [(reader.line_num, line) for line in reader]
    except csv.Error as error:
        raise SpecError.of(f"--compare, line {reader.line_num}", str(error)) from None
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise SpecError.of("--compare, line 1", f"columns are missing: {', '.join(missing)}")
    problems: list[Problem] = []
    found = [_figure(line, number, problems) for number, line in lines]
    if problems:
        raise SpecError(problems)
    return found


def _figure(line: dict[str, str], number: int, problems: list[Problem]) -> Published:
    values: dict[str, Any] = {name: line[name].strip() for name in COLUMNS}
    for name in _NUMBERS:
        text = values[name]
        try:
            values[name] = float(text) if text else math.nan
            sound = not text or math.isfinite(values[name])
        except ValueError:
            sound = False
        if not sound or (name == "mean" and not text):
            problems.append(
                Problem(f"--compare, line {number}", f"{name} must be a number, got {text!r:.80}")
            )
        if sound and name == "mean" and line["metric"].strip() == "test_accuracy" and 0 < values[name] <= 1:
            problems.append(
                Problem(
                    f"--compare, line {number}",
                    f"mean must be an accuracy in percent, got {text!r:.80}, a share",
                )
            )
    return Published(**values)


def _normal(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def optimizer_names(label: str, config: dict[str, Any]) -> tuple[str, ...]:
    """What papers call an optimizer, in small letters with dashes; its fullest name first.

    SGD is `sgd` without momentum only. A variant is known by its name alone too: a paper may not state it.

    Args:
        label: in the study; counts unless the catalog gives that name another meaning.
        config: its name and arguments.

    >>> optimizer_names("momentum", {"name": "sgd", "momentum": 0.9})
    ('sgd-momentum', 'momentum', 'momentum-sgd', 'sgd-with-momentum', 'sgdm')
    >>> optimizer_names("ours", {"name": "insgd", "norm": "l2"})
    ('insgd-l2', 'insgd', 'ours')
    """
    name = _normal(str(config.get("name", label)).rpartition(":")[2])
    if name == "sgd" and config.get("nesterov"):
        found = ["sgd-nesterov", "nesterov", "nag"]
    elif name == "sgd" and config.get("momentum"):
        found = ["sgd-momentum", "momentum", "momentum-sgd", "sgd-with-momentum", "sgdm"]
    else:
        variants = [config[key] for key in ("norm", "preset") if isinstance(config.get(key), str)]
        found = [*(f"{name}-{_normal(variant)}" for variant in variants), name]
    known = {_normal(entry.name) for entry in OPTIMIZERS}
    return tuple(dict.fromkeys(found + [own for own in (_normal(label),) if own not in known]))


def _matches_task(figure: Published, label: str, task: TaskConfig | ImportedTask) -> bool:
    if isinstance(task, ImportedTask):  # known by its label alone
        return _normal(label) in {_normal(figure.task), _normal(f"{figure.task} {figure.model}")}
    return all(
        not stated or _normal(stated) == _normal(ours)
        for stated, ours in (
            (figure.task, task.data.name),
            (figure.model, task.model.name),
            (figure.norm_layers, task.norm),
        )
    )


def beside(
    study: Study, scores: Sequence[Measurement], figures: Sequence[Published], name: str
) -> tuple[list[Measurement], list[str]]:
    """Published figures and differences for our scores.

    Args:
        study: what its labels stand for.
        scores: of `tuned_scores`.
        figures: of `read_published`.
        name: of the file, for the notes.

    Returns:
        Measurements `published` and `difference`, one pair for each source; and notes on all of the table.
    """
    found: list[Measurement] = []
    usable = [figure for figure in figures if figure.metric == _METRIC]
    for score in scores:
        if score.unit != "accuracy" or score.task is None:
            continue
        task = study.tasks[score.task]
        names = optimizer_names(score.optimizer, study.optimizers.get(score.optimizer, {}))
        own = [f for f in usable if _matches_task(f, score.task, task) and _normal(f.optimizer) in names]
        if isinstance(task, TaskConfig):
            same = [f for f in own if f.batch_size == task.batch_size]
            own = same or own
        for figure in own:
            at = _at(figure, own)
            found += _pair(score, figure, at)
    if not found:
        return [], [_nothing_matches(study, usable, name)]
    found.sort(key=lambda m: m.metric, reverse=True)
    return found, [
        "The number of runs behind the published figures is not stated: the interval of a difference takes their "
        "standard deviation for the standard error of their mean, as if it were one run's, which is the widest "
        "that their figures allow; ours is Student's over seeds at the tuned learning rate.",
        f"Published figures: {name}, matched by data set, model, normalization layers and optimizer.",
    ]


def _at(figure: Published, own: Sequence[Published]) -> str:
    """Which published figure: its source, with the budget where that source has several."""
    several = sum(other.source == figure.source for other in own) > 1
    return f"{figure.source}, {figure.budget}" if several else figure.source


def _pair(score: Measurement, figure: Published, at: str) -> list[Measurement]:
    mean, std = figure.mean / 100, figure.std / 100
    theirs = replace(
        score,
        metric="published",
        title="Published",
        at=at,
        value=mean,
        sd=std,
        low=math.nan,
        high=math.nan,
        n=0,
        better="",
        remarks=(),
        source=f"{figure.source}: {figure.budget}",
    )
    half = _half_width(score.sd, score.n)
    spread = math.hypot(half, 0.0 if math.isnan(std) else _Z * std)
    alone = math.isnan(half) and not math.isnan(score.value)
    unstated = "no standard deviation is published: the interval is ours alone"
    difference = replace(
        theirs,
        metric="difference",
        title="Difference",
        value=score.value - mean,
        sd=math.nan,
        low=score.value - mean - spread,
        high=score.value - mean + spread,
        n=score.n,
        remarks=(Remark(Flag.ONE_SEED),) if alone else (),
        source=unstated if math.isnan(std) and not alone else "",
    )
    return [theirs, difference]


def _half_width(sd: float, n: int) -> float:
    """Of Student's 95 % interval of a mean of n; NaN for n < 2."""
    if n < 2 or math.isnan(sd):
        return math.nan
    from scipy.special import stdtrit  # takes a moment: what compares nothing must not wait for it

    return float(stdtrit(n - 1, 0.975)) * sd / math.sqrt(n)


def _nothing_matches(study: Study, figures: Iterable[Published], name: str) -> str:
    theirs: dict[str, dict[str, None]] = {}
    for figure in figures:
        theirs.setdefault(figure.combination, {})[figure.optimizer] = None
    ours = []
    for label, task in study.tasks.items():
        if isinstance(task, TaskConfig):
            ours.append(f"{task.data.name} {task.model.name} norm {task.norm}")
        else:
            ours.append(label)
    optimizers = ", ".join(optimizer_names(label, config)[0] for label, config in study.optimizers.items())
    has = "; ".join(f"{what}: {', '.join(names)}" for what, names in theirs.items())
    return (
        f"No figure of {name} matches. The file has {has or f'no {_METRIC}'}. "
        f"The study has {'; '.join(dict.fromkeys(ours))} with the optimizers {optimizers}."
    )
