"""The update rules that look at whole layers: norms of weights, factors of matrices, powers of inputs."""

# K trials in the pack, P numbers in a trial's parameters

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.optim._muon import DEFAULT_A, DEFAULT_B, DEFAULT_C, EPS, _adjust_lr, _zeropower_via_newtonschulz

from robustness.optimizers.rules.block import Block
from robustness.optimizers.rules.elementwise import ELEMENTWISE
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

__all__ = ["LAYERWISE"]


def insgd(step: Step) -> None:
    """`robustness.INSGD`, both presets."""
    if step.arguments["preset"] == "released":
        _released(step)
    else:
        _normalized(step, step.arguments["damping"])


def nlms(step: Step) -> None:
    """`optimizers.nlms.NLMS`: INSGD without the logarithm."""
    _normalized(step, "none")


def _normalized(step: Step, damping: str) -> None:
    divisors = _measured(step)
    _damp(_running_power(step), damping, step.arguments.column("eps"), out=divisors.flat)
    _divide(step.gradients, divisors)
    step.parameters.flat.addcmul_(momentum(step, decayed(step)), step.lr, value=-1)


def _released(step: Step) -> None:
    factor = (step.arguments.complement("momentum").sqrt() + 1e-6) / math.sqrt(1 + 1e-6)
    divisors = _measured(step)
    _damp(divisors.flat, "log", factor.new_full((), 0.01), out=divisors.flat)
    divisors.flat.mul_(factor)
    # The momentum buffer is the rule's own state; what is divided is a copy.
    block = step.parameters.like(momentum(step, with_decay(step)).clone())
    _divide(block, divisors)
    step.parameters.flat.addcmul_(block.flat, step.lr, value=-1)


def _measured(step: Step) -> Block:
    """What was measured of all layers, side by side: one operation serves all of them."""
    assert step.powers is not None  # this family measures
    return step.powers


def _running_power(step: Step) -> Tensor:
    """The running averages of the layers' powers, (K, numbers)."""
    power, arguments = _measured(step).flat, step.arguments
    if "power" in step.state:
        # Not lerp_, which makes NaN of an infinite average.
        step.state["power"].mul_(arguments.column("beta")).addcmul_(power, arguments.complement("beta"))
    elif arguments.get("power_init") == "zero":
        step.state["power"] = power * arguments.complement("beta")
    else:
        step.state["power"] = power.clone()
    return step.state["power"]


def _damp(power: Tensor, damping: str, eps: Tensor, *, out: Tensor) -> None:
    """Write what of the powers divides; see `INSGD`."""
    if damping == "none":
        torch.add(power, eps, out=out)
    else:
        # log P can be negative; the paper clips it at eps.
        torch.maximum(power.log1p() if damping == "log1p" else power.log(), eps, out=out)


def _divide(block: Block, divisors: Block) -> None:
    """Divide each layer's part of a block; the divisors become their inverses."""
    # Of a matrix of weights a product takes half the time of a quotient.
    divisors.flat.reciprocal_()
    for name in divisors:
        block[name].mul_(divisors[name])


def _as(column: Tensor, like: Tensor) -> Tensor:
    """A column (K, 1) with as many axes as `like`."""
    return column.view(-1, *(1,) * (like.ndim - 1))


# -- fixed multipliers -----------------------------------------------------------------------------


def sgd_layerwise(step: Step) -> None:
    """`optimizers.scaled.LayerwiseSGD`."""
    if step.number == 1:
        sizes = _measured(step)
        factor = math.sqrt(1 + 1e-6) / (step.arguments.complement("momentum").sqrt() + 1e-6)
        _keep_multipliers(step, sizes.like(factor / sizes.flat))
    _multiplied(step)


def sgd_frozen(step: Step) -> None:
    """`optimizers.scaled.FrozenSGD`."""
    if step.number == 1:
        _keep_multipliers(step, _inverse_logarithms(step))
    _multiplied(step)


def sgd_scaled(step: Step) -> None:
    """`optimizers.scaled.ScaledSGD`: one multiplier, the geometric mean of the frozen ones over all weights."""
    if step.number == 1:
        own = _inverse_logarithms(step)
        sizes = {name: step.parameters[name][0].numel() for name in own}
        logarithms = [own.columns(name).log().mean(1).double() * sizes[name] for name in own]
        mean = step.typed((torch.stack(logarithms).sum(0) / sum(sizes.values())).exp()[:, None])
        step.state["multiplier"] = mean.expand_as(step.parameters.flat).contiguous()
    _multiplied(step)


def _inverse_logarithms(step: Step) -> Block:
    powers = _measured(step)
    return powers.like(1 / torch.maximum(powers.flat.log(), step.arguments.column("eps")))


def _keep_multipliers(step: Step, of_layers: Block) -> None:
    step.state["multiplier"] = torch.ones_like(step.parameters.flat)
    block = step.parameters.like(step.state["multiplier"])
    for name in of_layers:
        block[name].copy_(of_layers[name])


def _multiplied(step: Step) -> None:
    update = momentum(step, with_decay(step))
    step.parameters.flat.addcmul_(update * step.state["multiplier"], step.lr, value=-1)


# -- norms -----------------------------------------------------------------------------------------


def _norm(x: Tensor) -> Tensor:
    """l2 norm of each trial's tensor, (K, 1, ...)."""
    return _as(x.flatten(1).norm(dim=1), x)


def _trust(weight_norm: Tensor, update_norm: Tensor, coefficient: Tensor | float = 1.0) -> Tensor:
    """See `trust._ratio`."""
    ratio = coefficient * weight_norm / update_norm
    return ratio.where((weight_norm > 0) & (update_norm > 0), 1)


def lars(step: Step) -> None:
    """`optimizers.trust.LARS`."""
    decay = step.arguments.column("weight_decay")
    trust = step.arguments.column("trust_coefficient")
    gradient_norms = {
        name: _norm(step.gradients[name]) for name in step.gradients if len(step.gradients.shapes[name]) > 1
    }
    with_decay(step)
    for name, norm in gradient_norms.items():
        weight_norm = _norm(step.parameters[name])
        total = norm + _as(decay, norm) * weight_norm
        step.gradients[name].mul_(_trust(weight_norm, total, _as(trust, norm)))
    buffer = step.zeros("momentum").mul_(step.arguments.column("momentum")).add_(step.gradients.flat)
    step.parameters.flat.addcmul_(buffer, step.lr, value=-1)


def lamb(step: Step) -> None:
    """`optimizers.trust.LAMB`."""
    first, second = adam_moments(step, step.gradients.flat)
    root = (second / step.typed(correction(step, "betas[1]"))).sqrt_().add_(step.arguments.column("eps"))
    update = (first / step.typed(correction(step, "betas[0]"))).div_(root)
    if step.arguments.on("weight_decay"):
        update.addcmul_(step.parameters.flat, step.arguments.column("weight_decay"))
    block = step.parameters.like(update)
    for name in block:
        block[name].mul_(_trust(_norm(step.parameters[name]), _norm(block[name])))
    step.parameters.flat.addcmul_(update, step.lr, value=-1)


def normalized_gradient(step: Step) -> None:
    """`optimizers.trust.NormalizedSGD`."""
    norm_K1 = step.gradients.flat.double().norm(dim=1, keepdim=True)
    step.gradients.flat.mul_(step.typed(1 / (norm_K1 + step.arguments.exact("eps"))))
    buffer = step.zeros("momentum").mul_(step.arguments.column("momentum")).add_(with_decay(step))
    step.parameters.flat.addcmul_(buffer, step.lr, value=-1)


# -- matrices --------------------------------------------------------------------------------------


def adafactor(step: Step) -> None:
    """torch.optim.Adafactor with its default eps: factored along the last two axes of each weight."""
    exact = step.exact_lr
    sizes = {name: _norm(step.parameters[name]).double() for name in step.parameters}  # before weight decay
    decay_apart(step)
    rho = torch.minimum(exact, torch.full_like(exact, step.number**-0.5))
    rate = step.number ** step.arguments.exact("beta2_decay")
    for name in step.parameters:
        p, g = step.parameters[name], step.gradients[name]
        size = p[0].numel()
        eps1 = torch.finfo(p.dtype).eps
        alpha = (sizes[name] / size**0.5).clamp_min(1e-3) * _as(rho, p)
        weight = _as(step.typed(rate), p)
        if g.ndim > 2:
            row = _running(step, f"row {name}", _mean_square(g, -1), weight)
            column = _running(step, f"column {name}", _mean_square(g, -2), weight)
            variance = (row @ column).div_(row.mean(-2, keepdim=True).clamp_min(eps1))
        else:
            variance = _running(step, f"variance {name}", g * g, weight).clone()
        update = variance.clamp_min_(eps1 * eps1).rsqrt_().mul_(g)
        clip = _norm(update).double() / (size**0.5 * _as(step.arguments.exact("d"), p))
        p.addcmul_(update, step.typed(-alpha / clip.clamp_min(1)))


def _mean_square(g: Tensor, dim: int) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(g, dim=dim, keepdim=True)
    return norm.square_().div_(g.shape[dim])


def _running(step: Step, name: str, value: Tensor, weight: Tensor) -> Tensor:
    if name not in step.state:
        step.state[name] = torch.zeros_like(value)
    return step.state[name].lerp_(value, weight)


def muon(step: Step) -> None:
    """`optimizers.muon.MuonWithAdamW`.

    The Newton-Schulz iteration rounds to bfloat16 at every product, so each matrix goes through torch's own
    function by itself: any other order of sums would give other numbers.
    """
    arguments = step.arguments
    matrices = [name for name, shape in step.parameters.shapes.items() if len(shape) == 2]
    updates = {}
    for name in matrices:
        g = step.gradients[name]
        buffer = _running(step, f"muon {name}", g, _as(arguments.complement("momentum"), g))
        updates[name] = (
            g.lerp(buffer, _as(arguments.column("momentum"), g)) if arguments.on("nesterov") else buffer
        )
    before = {name: step.parameters[name].clone() for name in matrices}
    # AdamW's rule on everything: what it did to the matrices is undone.
    ELEMENTWISE["adamw"](step)
    keep = 1 - step.lr * arguments.column("weight_decay")
    for name, update in updates.items():
        length = _adjust_lr(1.0, arguments["adjust_lr_fn"], step.parameters.shapes[name])
        steps = [
            _zeropower_via_newtonschulz(u, (DEFAULT_A, DEFAULT_B, DEFAULT_C), arguments["ns_steps"], EPS)
            for u in update
        ]
        p = before[name] * _as(keep, update)
        p.addcmul_(torch.stack(steps).to(p.dtype), _as(-step.lr * length, p))
        step.parameters[name].copy_(p)


LAYERWISE: dict[str, Rule] = {
    "insgd": insgd,
    "nlms": nlms,
    "sgd-layerwise": sgd_layerwise,
    "sgd-frozen": sgd_frozen,
    "sgd-scaled": sgd_scaled,
    "lars": lars,
    "lamb": lamb,
    "normalized-gradient": normalized_gradient,
    "adafactor": adafactor,
    "muon": muon,
}
