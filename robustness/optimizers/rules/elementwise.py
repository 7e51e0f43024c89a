"""The update rules that act on each number by itself, after torch.optim's own, one short function each.

A rule changes a matrix of parameters (K, P) in place. Numbers that a user gives are columns (K, 1), so each
trial of a pack has its own.
"""

# K trials in the pack, P numbers in a trial's parameters

from __future__ import annotations

import torch
from torch import Tensor

from robustness.optimizers.rules.step import (
    Rule,
    Step,
    adam_moments,
    correction,
    decay_apart,
    decayed,
    momentum,
    with_decay,
)

__all__ = ["ELEMENTWISE"]


def sgd(step: Step) -> None:
    """torch.optim.SGD."""
    step.parameters.flat.addcmul_(momentum(step, with_decay(step)), step.lr, value=-1)


def _adam(step: Step, gradient: Tensor) -> None:
    first, second = adam_moments(step, gradient)
    if step.arguments.on("amsgrad"):
        second = torch.maximum(step.zeros("largest"), second, out=step.state["largest"])
    root = step.typed(correction(step, "betas[1]").sqrt())
    denominator = (second.sqrt() / root).add_(step.arguments.column("eps"))
    length = step.typed(-step.exact_lr / correction(step, "betas[0]"))
    step.parameters.flat.addcmul_(first / denominator, length)


def adam(step: Step) -> None:
    """torch.optim.Adam."""
    _adam(step, decayed(step))


def adamw(step: Step) -> None:
    """torch.optim.AdamW."""
    decay_apart(step)
    _adam(step, step.gradients.flat)


def nadam(step: Step) -> None:
    """torch.optim.NAdam; its product of momenta is kept in float32, whatever the parameters' type."""
    arguments = step.arguments
    gradient = decayed(step)

    def mu(number: int) -> Tensor:
        decay = torch.pow(0.96, number * arguments.exact("momentum_decay"))
        return arguments.exact("betas[0]") * (1 - 0.5 * decay)

    now, following = mu(step.number), mu(step.number + 1)
    product = step.state.get("mu_product", torch.ones_like(now, dtype=torch.float32))
    product = step.state["mu_product"] = product * now.float()
    first, second = adam_moments(step, gradient)
    denominator = (second / step.typed(correction(step, "betas[1]"))).sqrt_()
    denominator.add_(arguments.column("eps"))
    of_gradient = -step.exact_lr * (1 - now) / (1 - product.double())
    of_first = -step.exact_lr * following / (1 - product.double() * following)
    step.parameters.flat.addcmul_(gradient / denominator, step.typed(of_gradient))
    step.parameters.flat.addcmul_(first / denominator, step.typed(of_first))


def radam(step: Step) -> None:
    """torch.optim.RAdam: plain momentum until the variance of the second moment is tractable."""
    arguments = step.arguments
    gradient = decayed(step)
    first, second = adam_moments(step, gradient)
    beta = arguments.exact("betas[1]")
    at_last = 2 / (1 - beta) - 1
    now = at_last - 2 * step.number * beta**step.number / correction(step, "betas[1]")
    tractable = now > 5
    ratio = (now - 4) * (now - 2) * at_last / ((at_last - 4) * (at_last - 2) * now)
    rectified = ratio.where(tractable, 1).sqrt() * correction(step, "betas[1]").sqrt()
    adaptive = step.typed(rectified) / (second.sqrt().add_(arguments.column("eps")))
    length = step.typed(-step.exact_lr / correction(step, "betas[0]"))
    step.parameters.flat.addcmul_(first * adaptive.where(tractable, 1), length)


def adamax(step: Step) -> None:
    """torch.optim.Adamax."""
    gradient = with_decay(step)
    first, largest = step.zeros("first"), step.zeros("largest")
    first.lerp_(gradient, step.arguments.complement("betas[0]"))
    largest.mul_(step.arguments.column("betas[1]"))
    torch.maximum(largest, gradient.abs().add_(step.arguments.column("eps")), out=largest)
    length = step.typed(-step.exact_lr / correction(step, "betas[0]"))
    step.parameters.flat.addcmul_(first / largest, length)


def adagrad(step: Step) -> None:
    """torch.optim.Adagrad."""
    arguments = step.arguments
    gradient = with_decay(step)
    if step.number == 1:
        step.zeros("sum").add_(arguments.column("initial_accumulator_value"))
    total = step.state["sum"].addcmul_(gradient, gradient)
    length = -step.exact_lr / (1 + (step.number - 1) * arguments.exact("lr_decay"))
    denominator = total.sqrt().add_(arguments.column("eps"))
    step.parameters.flat.addcmul_(gradient / denominator, step.typed(length))


def adadelta(step: Step) -> None:
    """torch.optim.Adadelta."""
    rho, rest, eps = (
        step.arguments.column("rho"),
        step.arguments.complement("rho"),
        step.arguments.column("eps"),
    )
    gradient = with_decay(step)
    square, moved = step.zeros("square"), step.zeros("moved")
    square.mul_(rho).addcmul_(gradient * rest, gradient)
    change = (moved + eps).sqrt_().div_((square + eps).sqrt_()).mul_(gradient)
    moved.mul_(rho).addcmul_(change * rest, change)
    step.parameters.flat.addcmul_(change, step.lr, value=-1)


def rmsprop(step: Step) -> None:
    """torch.optim.RMSprop."""
    arguments = step.arguments
    gradient = with_decay(step)
    square = step.zeros("square").mul_(arguments.column("alpha"))
    square.addcmul_(gradient * arguments.complement("alpha"), gradient)
    root = square
    if arguments.on("centered"):
        mean = step.zeros("mean").lerp_(gradient, arguments.complement("alpha"))
        root = square.addcmul(mean, mean, value=-1)
    update = gradient / root.sqrt().add_(arguments.column("eps"))
    if arguments.on("momentum"):
        update = step.zeros("momentum").mul_(arguments.column("momentum")).add_(update)
    step.parameters.flat.addcmul_(update, step.lr, value=-1)


ELEMENTWISE: dict[str, Rule] = {
    "sgd": sgd,
    "adam": adam,
    "adamw": adamw,
    "nadam": nadam,
    "radam": radam,
    "adamax": adamax,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "rmsprop": rmsprop,
}
