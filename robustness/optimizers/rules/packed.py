"""One optimizer family on a pack: hyperparameters a trial, schedule, clipping, and the family's rule.

Trials may share a pack when their optimizers are of one `Named.family`.
"""

# K trials in the pack, P numbers in a trial's parameters

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from robustness.optimizers.rules.block import Block
from robustness.optimizers.rules.elementwise import ELEMENTWISE
from robustness.optimizers.rules.layers import LAYERWISE
from robustness.optimizers.rules.power import Measure, measure_of
from robustness.optimizers.rules.step import Arguments, Rule, Step
from robustness.optimizers.schedules import factor
from robustness.trial import Named

__all__ = ["RULES", "PackedOptimizer"]

RULES: dict[str, Rule] = {**ELEMENTWISE, **LAYERWISE}
"""By the catalog's name; the other optimizers train one trial at a time."""


class PackedOptimizer:
    """K optimizers of one family as one.

    Args:
        optimizers: of each trial, with all arguments.
        lrs: of each trial.
        parameters: changed by `step`.
        gradients: of the same columns; `step` may change them.
        steps_an_epoch: for schedules.
        epochs: the budget, for schedules.
    """

    def __init__(
        self,
        optimizers: Sequence[Named],
        lrs: Sequence[float],
        parameters: Block,
        gradients: Block,
        *,
        steps_an_epoch: int,
        epochs: int,
    ) -> None:
        """Take the trials' numbers as columns."""
        [_] = {optimizer.family for optimizer in optimizers}
        name = optimizers[0].name
        plain: list[Mapping[str, Any]] = [dict(optimizer.arguments) for optimizer in optimizers]
        flat = parameters.flat
        self._lr = torch.tensor(lrs, dtype=torch.float64, device=flat.device)[:, None]
        self._typed_lr = self._lr.to(flat.dtype)
        self._arguments = Arguments(plain, flat.dtype, flat.device)
        self._plain = list(plain)
        self._parameters, self._gradients = parameters, gradients
        self._steps_an_epoch, self._epochs = steps_an_epoch, epochs
        self._scheduled = plain[0]["schedule"] != "constant" or plain[0]["warmup_epochs"] != 0
        self._rule = RULES[name]
        self._measure = measure_of(name, plain[0])
        self._only_first = name in ("sgd-layerwise", "sgd-frozen", "sgd-scaled")
        self._state: dict[str, Tensor] = {}
        self._steps = 0

    @property
    def measure(self) -> Measure | None:
        """What the next step needs to know of layers' inputs."""
        return None if self._only_first and self._steps else self._measure

    @torch.no_grad()
    def step(self, powers: Block | None) -> None:
        """One update of every trial.

        Args:
            powers: what `measure` found in each layer; changed. None where there is no measure.
        """
        if self._arguments.on("clip_norm"):
            self._clip()
        lr, typed = self._lr, self._typed_lr
        if self._scheduled:
            factors = [factor(a, self._steps, self._steps_an_epoch, self._epochs) for a in self._plain]
            lr = lr * torch.tensor(factors, dtype=torch.float64, device=lr.device)[:, None]
            typed = lr.to(typed.dtype)
        self._steps += 1
        self._rule(
            Step(
                parameters=self._parameters,
                gradients=self._gradients,
                powers=powers,
                exact_lr=lr,
                lr=typed,
                number=self._steps,
                arguments=self._arguments,
                state=self._state,
            )
        )

    def _clip(self) -> None:
        """As torch.nn.utils.clip_grad_norm_: times limit / (norm + 1e-6), at most 1."""
        norms = [self._gradients[name].flatten(1).norm(dim=1) for name in self._gradients]
        # Parameters last: over the first axis a single trial would be summed in another order than two.
        norm_K1 = torch.stack(norms, 1).norm(dim=1, keepdim=True)  # noqa: N806
        self._gradients.flat.mul_((self._arguments.column("clip_norm") / (norm_K1 + 1e-6)).clamp_max(1))

    def keep(self, index: Tensor) -> None:
        """Only these trials remain. The blocks are their owner's to cut."""
        self._lr, self._typed_lr = self._lr[index], self._typed_lr[index]
        self._arguments.keep(index)
        self._plain = [self._plain[i] for i in index.tolist()]
        self._state = {name: value[index] for name, value in self._state.items()}

    def state(self) -> dict[str, Any]:
        """What is kept between steps, tensors (K, ...)."""
        return {"steps": self._steps, "state": dict(self._state)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The reverse of `state`, whose tensors become the optimizer's own."""
        self._steps = state["steps"]
        self._state = dict(state["state"])
