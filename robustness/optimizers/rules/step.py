"""What a rule is given, and the parts that several rules share."""

# K trials in the pack, P numbers in a trial's parameters

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robustness.optimizers.rules.block import Block

__all__ = [
    "Arguments",
    "Rule",
    "Step",
    "adam_moments",
    "correction",
    "decay_apart",
    "decayed",
    "momentum",
    "with_decay",
]


class Arguments:
    """The arguments of K optimizers of one family: numbers as columns, the rest shared.

    The numbers of a tuple are called `betas[0]`, `betas[1]`.
    """

    def __init__(self, plain: Sequence[Mapping[str, Any]], dtype: torch.dtype, device: torch.device) -> None:
        """Take the arguments of each trial."""
        numbers: dict[str, list[float]] = {}
        self._shared: dict[str, Any] = {}
        for name, value in plain[0].items():
            if isinstance(value, tuple):
                for i in range(len(value)):
                    numbers[f"{name}[{i}]"] = [arguments[name][i] for arguments in plain]
            elif isinstance(value, float):
                numbers[name] = [arguments[name] for arguments in plain]
            else:
                self._shared[name] = value
        self._on = {name: column[0] != 0 for name, column in numbers.items()}
        self._exact = {
            name: torch.tensor(column, dtype=torch.float64, device=device)[:, None]
            for name, column in numbers.items()
        }
        self._columns = {name: column.to(dtype) for name, column in self._exact.items()}
        self._complements = {name: (1 - column).to(dtype) for name, column in self._exact.items()}

    def __getitem__(self, name: str) -> Any:
        """An argument that the whole family shares: a choice or a whole number."""
        return self._shared[name]

    def get(self, name: str) -> Any:
        """A shared argument; None where the optimizer takes none of that name."""
        return self._shared.get(name)

    def on(self, name: str) -> bool:
        """Whether a flag is set, or a number not zero; False where the optimizer takes none of that name."""
        return bool(self._on.get(name, self._shared.get(name, False)))

    def column(self, name: str) -> Tensor:
        """A number of each trial, (K, 1), in the parameters' type."""
        return self._columns[name]

    def complement(self, name: str) -> Tensor:
        """1 minus the number of each trial, (K, 1), taken in float64."""
        return self._complements[name]

    def exact(self, name: str) -> Tensor:
        """A number of each trial, (K, 1), in float64."""
        return self._exact[name]

    def keep(self, index: Tensor) -> None:
        """Only these trials remain."""
        for columns in (self._exact, self._columns, self._complements):
            columns.update((name, column[index]) for name, column in columns.items())


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What a rule is given.

    Attributes:
        parameters: (K, P), to be changed in place.
        gradients: (K, P), the rule's to change.
        powers: what was measured of each layer's input, see `Measure.block`; the rule's to change.
        exact_lr: learning rates of this step, (K, 1), float64.
        lr: the same in the parameters' type.
        number: of the step: 1, 2, ...
        arguments: of the optimizers.
        state: what the rule keeps between steps; every tensor's first axis is K.
    """

    parameters: Block
    gradients: Block
    powers: Block | None
    exact_lr: Tensor
    lr: Tensor
    number: int
    arguments: Arguments
    state: dict[str, Tensor]

    def typed(self, exact: Tensor) -> Tensor:
        """A column in the parameters' type."""
        return exact.to(self.parameters.flat.dtype)

    def zeros(self, name: str) -> Tensor:
        """A matrix of the state, zeros at first."""
        if name not in self.state:
            self.state[name] = torch.zeros_like(self.parameters.flat)
        return self.state[name]


Rule = Callable[[Step], None]


def with_decay(step: Step) -> Tensor:
    """The gradient with weight decay added, where it is on."""
    if step.arguments.on("weight_decay"):
        step.gradients.flat.addcmul_(step.parameters.flat, step.arguments.column("weight_decay"))
    return step.gradients.flat


def decay_apart(step: Step) -> None:
    """Decoupled weight decay: parameters times 1 - lr decay."""
    if step.arguments.on("weight_decay"):
        step.parameters.flat.mul_(1 - step.lr * step.arguments.column("weight_decay"))


def decayed(step: Step) -> Tensor:
    """The gradient after weight decay of the kind that the optimizer's `decoupled_weight_decay` says."""
    if step.arguments.on("decoupled_weight_decay"):
        decay_apart(step)
        return step.gradients.flat
    return with_decay(step)


def momentum(step: Step, gradient: Tensor) -> Tensor:
    """The momentum buffer after this gradient; the first one is the gradient itself, undampened."""
    arguments = step.arguments
    if not arguments.on("momentum"):
        return gradient
    buffer = step.state.get("momentum")
    if buffer is None:
        buffer = step.state["momentum"] = gradient.clone()
    else:
        if arguments.on("dampening"):
            gradient = gradient * arguments.complement("dampening")
        # One pass over the buffer instead of two.
        torch.addcmul(gradient, buffer, arguments.column("momentum"), out=buffer)
    if arguments.on("nesterov"):
        return torch.addcmul(gradient, buffer, arguments.column("momentum"))
    return buffer


def correction(step: Step, beta: str) -> Tensor:
    """1 - beta^t, (K, 1), float64."""
    return 1 - step.arguments.exact(beta) ** step.number


def adam_moments(step: Step, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The running averages of the gradient and of its square."""
    first, second = step.zeros("first"), step.zeros("second")
    first.lerp_(gradient, step.arguments.complement("betas[0]"))
    second.mul_(step.arguments.column("betas[1]"))
    second.addcmul_(gradient * step.arguments.complement("betas[1]"), gradient)
    return first, second
