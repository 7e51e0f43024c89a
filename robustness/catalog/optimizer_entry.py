"""What an optimizer's entry says, and the fields that every optimizer takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from robustness.catalog.models import ModelEntry
from robustness.catalog.registry import Argument, Entry
from robustness.errors import SpecError

__all__ = ["OptimizerEntry"]

_COMMON: tuple[Argument, ...] = (
    Argument(
        name="schedule",
        kind="str",
        default="constant",
        choices=("constant", "step", "cosine"),
        doc="of the learning rate over the budget; step: at milestones, cosine: to zero",
    ),
    Argument(
        name="milestones",
        kind="floats",
        default=(),
        low=0.0,
        low_open=True,
        doc="epochs after which a step schedule multiplies the learning rate",
    ),
    Argument(
        name="decay_factor",
        kind="float",
        default=0.1,
        low=0.0,
        high=1.0,
        doc="what a step schedule multiplies by",
    ),
    Argument(
        name="warmup_epochs", kind="float", default=0.0, low=0.0, high=1e5, doc="linear warm-up, in epochs"
    ),
    Argument(
        name="clip_norm",
        kind="float",
        default=0.0,
        low=0.0,
        doc="clip the gradient's norm over all parameters to this; 0 does not clip",
    ),
)
"""What every optimizer takes beside its own arguments: the trainer's part of the recipe."""


def _no_rule(_: Mapping[str, Any]) -> str | None:
    return None


def _no_model_rule(_: Mapping[str, Any], __: ModelEntry) -> str | None:
    return None


@dataclass(frozen=True, kw_only=True)
class OptimizerEntry(Entry):
    """An optimizer. `arguments` are given as its own; the common ones are added.

    Attributes:
        default_lr: the learning rate that its own documentation gives.
        rule: why arguments that are fine one by one do not go together; None where they do.
        model_rule: why it does not run, with these arguments, on a model; None where it does.
        takes_model: it is built on the model, not on its parameters: it looks at layers' inputs.
        extra: the package that must be installed for it; empty where it comes with ours.
    """

    default_lr: float
    rule: Callable[[Mapping[str, Any]], str | None] = _no_rule
    model_rule: Callable[[Mapping[str, Any], ModelEntry], str | None] = _no_model_rule
    takes_model: bool = False
    extra: str = ""

    def __post_init__(self) -> None:
        """Add the common arguments."""
        object.__setattr__(self, "arguments", (*self.arguments, *_COMMON))

    @property
    def own(self) -> tuple[Argument, ...]:
        """Its arguments without the common ones."""
        return self.arguments[: -len(_COMMON)]

    def refusal(self, arguments: Mapping[str, Any]) -> str | None:
        """Why these arguments do not go together; None where they do."""
        if (arguments["schedule"] == "step") != bool(arguments["milestones"]):
            return "schedule = step goes with milestones, and milestones with it"
        milestones = list(arguments["milestones"])
        if milestones != sorted(set(milestones)):
            return f"milestones must rise, got {milestones}"
        return self.rule(arguments)

    def require(self) -> None:
        """Check that its package is installed.

        Raises:
            SpecError: it is not; the text names the command that installs it.
        """
        if self.extra and find_spec(self.extra) is None:
            raise SpecError.of(
                f"optimizer {self.name}", "needs more packages; 'pip install robustness-study[optimizers]'"
            )
