"""The frame of a study file, strict: wrong types, unknown keys and NaN are refused with their path.

Tasks, optimizers and initializations stay plain tables here; `space.expand` checks them against the
catalog, since what they may hold depends on the names in them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Literal, get_args

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails

from robustness.catalog import TRACKERS
from robustness.errors import Problem, SpecError, nearest
from robustness.trial import round_lr

__all__ = [
    "ADAPTIVE",
    "COMPARABLE",
    "Claim",
    "LrRange",
    "Range",
    "Resources",
    "Sampler",
    "Search",
    "StudySpec",
    "parse",
    "parse_lr",
    "parse_range",
]

ID = r"^[A-Za-z0-9._-]{1,64}$"
# Control and formatting characters and marks that reorder text have no business in a title or a label.
_FORBIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")


MAX_PACK = 4_096

ComparableMetric = Literal[
    "divergence_rate",
    "nonfinite_rate",
    "not_trained_rate",
    "score",
    "skill",
    "tolerance_window",
    "critical_lr",
    "lr_sensitivity",
    "expected_score",
    "margin",
]
COMPARABLE: tuple[str, ...] = get_args(ComparableMetric)
"""Metrics of which two optimizers can be compared."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def check_text(text: str) -> str:
    """Free text as given.

    Raises:
        ValueError: it holds control or formatting characters, a line break among them.
    """
    if any(unicodedata.category(character) in _FORBIDDEN_CATEGORIES for character in text):
        raise ValueError("must be one line without control characters or direction marks")
    return text


def _check_id(text: str) -> str:
    if not re.fullmatch(ID, text) or set(text) <= {"."}:
        raise ValueError("must be 1 to 64 of A-Z a-z 0-9 . _ -")
    return text


Text = Annotated[str, Field(max_length=1_000), AfterValidator(check_text)]
PositiveFloat = Annotated[float, Field(gt=0, le=1e38)]  # what a float32 can hold


def _above_low(high: float, info: ValidationInfo) -> float:
    if "low" in info.data and high <= info.data["low"]:
        raise ValueError(f"must be > low ({info.data['low']:g}), got {high:g}")
    return high


class LrRange(_Strict):
    """Learning rates from `low` to `high`, on a logarithmic scale.

    With `points`, as many, evenly spaced; without, the sampler chooses.
    """

    low: PositiveFloat
    high: Annotated[PositiveFloat, AfterValidator(_above_low)]
    points: Annotated[int, Field(ge=2, le=2**31)] | None = None

    def values(self) -> tuple[float, ...]:
        """The learning rates, each to 12 significant digits; of a range with points."""
        return tuple(round_lr(float(lr)) for lr in np.geomspace(self.low, self.high, self.points or 0))


class Range(_Strict):
    """Values of any other number from `low` to `high`, evenly on a linear scale or, with `log`, on a logarithmic one.

    With `points`, as many, an axis of the grid; without, the sampler draws.
    """

    low: float
    high: Annotated[float, AfterValidator(_above_low)]
    log: bool = False
    points: Annotated[int, Field(ge=2, le=10_000)] | None = None

    @field_validator("log")
    @classmethod
    def _above_zero(cls, log: bool, info: ValidationInfo) -> bool:
        if log and info.data.get("low", 1.0) <= 0:
            raise ValueError(f"must go with low > 0, got low = {info.data['low']:g}")
        return log

    def values(self) -> tuple[float, ...]:
        """The values of a range with points, each to 12 significant digits."""
        space = np.geomspace if self.log else np.linspace
        return tuple(round_lr(float(value)) for value in space(self.low, self.high, self.points or 0))


def _lr_kind(value: object) -> str:
    if isinstance(value, (dict, LrRange)):
        return "range"
    return "list" if isinstance(value, (list, tuple)) else "value"


Lr = Annotated[
    Annotated[LrRange, Tag("range")]
    | Annotated[list[PositiveFloat], Field(min_length=1), Tag("list")]
    | Annotated[PositiveFloat, Tag("value")],
    Discriminator(_lr_kind),
]


Sampler = Literal["grid", "qmc", "random", "tpe", "edge", "refine"]
"""How trials are chosen; what each does stands in `robustness.sweep.samplers`."""
ADAPTIVE: tuple[Sampler, ...] = ("tpe", "edge", "refine")
"""Samplers that look at results."""


class Search(_Strict):
    """The axes that all optimizers share, and how they are sampled.

    `budget` is that of qmc and random (points), tpe (settings of each task, optimizer and initialization) and refine
    (learning rates added for each task and optimizer); `resolution` (decades) and `check` (extra points a row) are
    edge's.

    Each seed's weights are trained with each of `orders` data orders, the same for all seeds: seeds x orders trials a
    square. `confirm` more seeds train each row's tuned setting, after it was chosen without them.
    """

    sampler: Sampler = "grid"
    budget: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    resolution: Annotated[float, Field(ge=1e-4, le=1)] | None = None
    check: Annotated[int, Field(ge=0, le=100)] | None = None
    lr: Lr | None = None
    init: Any = "default"
    seeds: Annotated[int, Field(ge=1, le=100_000)] = 5
    orders: Annotated[int, Field(ge=1, le=100)] = 1
    confirm: Annotated[int, Field(ge=1, le=10_000)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


class Resources(_Strict):
    """What one pack of trials needs, and how large packs may be. Not part of a trial's identity."""

    cpus: Annotated[int, Field(ge=1, le=1_024)] = 1
    gpus: Annotated[float, Field(ge=0, le=64)] = 0.0
    pack: Literal["auto"] | Annotated[int, Field(ge=1, le=MAX_PACK)] = "auto"

    @field_validator("pack", mode="before")
    @classmethod
    def _auto_or_a_number(cls, pack: Any) -> Any:
        # Said once here: pydantic would say for each branch of the union what it misses.
        if pack != "auto" and (type(pack) is not int or not 1 <= pack <= MAX_PACK):
            raise ValueError(f"must be auto or a whole number from 1 to {MAX_PACK}, got {pack!r:.80}")
        return pack

    @field_validator("gpus")
    @classmethod
    def _whole_above_one(cls, gpus: float) -> float:
        if gpus > 1 and gpus != int(gpus):
            raise ValueError(f"must be a fraction below 1 or a whole number, got {gpus:g}")
        return gpus


def _check_tracker(name: str) -> str:
    if name not in TRACKERS:
        raise ValueError(f"must be a tracker; {nearest(name, TRACKERS.names)}")
    return name


def _check_each_once(names: list[str]) -> list[str]:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ValueError(f"must name each tracker once, got {name!r} twice")
    return names


class Claim(_Strict):
    """The comparison that a study is made for, named before it runs: a metric, and labels of two optimizers."""

    metric: ComparableMetric
    a: str
    b: str

    @field_validator("metric", mode="before")
    @classmethod
    def _known(cls, metric: Any) -> Any:
        if metric not in COMPARABLE:
            raise ValueError(f"must be a metric of comparisons; {nearest(str(metric), COMPARABLE)}")
        return metric

    @field_validator("b")
    @classmethod
    def _another(cls, b: str, info: ValidationInfo) -> str:
        if info.data.get("a") == b:
            raise ValueError(f"must be another optimizer than a, got {b!r:.80}")
        return b


class StudySpec(_Strict):
    """One study file: tasks x optimizers x learning rates x initializations x seeds."""

    name: Annotated[str, AfterValidator(_check_id), Field(json_schema_extra={"pattern": ID})]
    title: Text = ""
    question: Text = ""
    tasks: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1_000)]
    optimizers: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1_000)]
    search: Search = Search()
    resources: Resources = Resources()
    claim: Claim | None = None
    loggers: Annotated[
        list[
            Annotated[str, AfterValidator(_check_tracker), Field(json_schema_extra={"enum": TRACKERS.names})]
        ],
        AfterValidator(_check_each_once),
        Field(
            json_schema_extra={"uniqueItems": True}, description="trackers to which each new trial is logged"
        ),
    ] = []


def parse(plain: dict[str, Any]) -> StudySpec:
    """The checked frame of a study.

    Raises:
        SpecError: with every problem's path and rule.
    """
    try:
        return StudySpec.model_validate(plain)
    except ValidationError as error:
        raise SpecError([_problem(detail) for detail in error.errors()]) from None


def parse_lr(value: Any, path: str) -> Any:
    """An optimizer's own `lr`, by the rules of `search.lr`.

    Raises:
        SpecError: with paths under `path`.
    """
    try:
        return Search.model_validate({"lr": value}).lr
    except ValidationError as error:
        problems = [_problem(detail) for detail in error.errors()]
        raise SpecError([Problem(p.path.replace("lr", path, 1), p.message) for p in problems]) from None


class _Field(_Strict):
    field: Range


def parse_range(value: Any, path: str) -> Range:
    """The range that a field of a task, an optimizer or an initialization gives.

    Raises:
        SpecError: with paths under `path`.
    """
    try:
        return _Field.model_validate({"field": value}).field
    except ValidationError as error:
        problems = [_problem(detail) for detail in error.errors()]
        raise SpecError([Problem(p.path.replace("field", path, 1), p.message) for p in problems]) from None


_TAGS = ("range", "list", "value", "literal['auto']", "int", "constrained-int")


def _problem(detail: ErrorDetails) -> Problem:
    path = ""
    # pydantic puts the name of the union's branch into the location; a user has not written it.
    location = detail["loc"]
    kept = location[-1:] if detail["type"] == "extra_forbidden" else ()
    for step in (*(s for s in location[: len(location) - len(kept)] if s not in _TAGS), *kept):
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    if detail["type"] == "extra_forbidden":
        owner = _fields_beside(detail["loc"])
        return Problem(path, f"unknown field; {nearest(str(detail['loc'][-1]), owner)}")
    if detail["type"] == "missing":
        return Problem(path, "is required")
    # pydantic says "List should have at least 1 item after validation, not 0".
    said = re.sub(r" after validation, not \d+$", "", detail["msg"].removeprefix("Value error, "))
    message = re.sub(r"^[A-Z][a-z]+ should ", "must ", said)
    shown = repr(detail["input"])
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    message = message if message.startswith("must") else f"must be {message}"
    return Problem(path, message if "got " in message else f"{message}, got {shown}")


def _fields_beside(location: tuple[int | str, ...]) -> list[str]:
    tables: dict[str, type[BaseModel]] = {
        "search": Search,
        "resources": Resources,
        "claim": Claim,
        "lr": LrRange,
        "field": Range,
    }
    owners = [tables[step] for step in location[:-1] if isinstance(step, str) and step in tables]
    return list((owners[-1] if owners else StudySpec).model_fields)
