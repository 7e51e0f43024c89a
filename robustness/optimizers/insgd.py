r"""Input Normalized SGD: the published algorithm, its variants, and the authors' released code.

The published algorithm (preset `paper`, the default). For each weight W of a layer with input x, at step t:

    g   = gradient of the loss at W
    q   = power of the input
    P_t = q                                if t = 1   (power_init = "first"; from zero: "zero")
          beta P_{t-1} + (1 - beta) q      otherwise
    g   = g / max(log P_t, eps)
    g   = g + weight_decay W
    b_t = g if t = 1, else momentum b_{t-1} + (1 - dampening) g
    W   = W - lr b_t

Parameters without a layer input (biases, norm layers, embeddings, class tokens) take the same step
without the division. Every option and its source:

| option | values | source |
|---|---|---|
| norm | "l2": squared l2 norm; "l1" | paper |
| beta, eps, momentum, dampening, weight_decay | numbers | paper (eps = 0.01, natural logarithm) |
| power_init | "first": P_1 = q; "zero": P_1 = (1 - beta) q, as the authors' README starts | paper; README |
| granularity | "channel": C numbers a convolution (released code); "layer": one; "patch": over the fan-in that one output sees, which makes a 1x1 convolution on 1x1 maps the Linear layer that it is | released code; ours |
| damping | "log": max(log P, eps); "log1p": max(log(1 + P), eps), without the pole at P = 1; "none": eps + P, which is NLMS | paper; ours; NLMS |
| nesterov, decoupled_weight_decay, maximize, foreach | as in torch.optim | torch.optim |

What the released code does instead (preset `released`): before the norm it standardizes each sample and
channel over its own positions, and a Linear layer's input over its dimension 1 (the features of (B, F), but
the tokens of (B, T, F)), the deviation clamped from below at 0.01; the power has no running average (its state
is never written back), Linear layers add 0.1 to it, and weight decay, momentum and Nesterov's step come
*before* the division:

    d_t = g + weight_decay W
    b_t = d_t if t = 1, else momentum b_{t-1} + (1 - dampening) d_t
    u_t = d_t + momentum b_t if nesterov, else b_t
    W   = W - lr u_t sqrt(1 + 1e-6) / ((sqrt(1 - momentum) + 1e-6) max(log P, 0.01))

A standardized input has the squared l2 norm n - 1 whatever it was, so with l2, unless a channel is almost
constant, this is SGD with momentum and one fixed multiplier a layer: see `LayerwiseSGD`. On maps of one
position the deviation is undefined and the step 316 times as long; on one token it is log(F - 0.9) / 0.01 times
what it is for (B, F). Grouped convolutions do not run in the released code and are refused.

Source: Atici, Pan, Cetin, "Input Normalized Stochastic Gradient Descent Training for Deep Neural
Networks", TMLR 2024 (arXiv 2212.09921), and the authors' released code (SalihFurkan/INSGD).
"""

from __future__ import annotations

import fnmatch
import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from robustness.catalog.optimizer_entries import PAPER_ONLY
from robustness.optimizers.observer import InputObserver
from robustness.optimizers.power import Convolution, batch_sums, input_power, released_power
from robustness.optimizers.stepping import loss_of, restore_type

__all__ = ["INSGD"]

_CHOICES = {
    "preset": ("paper", "released"),
    "norm": ("l1", "l2"),
    "power_init": ("first", "zero"),
    "granularity": ("channel", "layer", "patch"),
    "damping": ("log", "log1p", "none"),
}


class INSGD(Optimizer):
    """Input Normalized SGD. Takes the module, since it must see the layers' inputs.

    Args:
        model: its trainable parameters are optimized. Linear layers, convolutions of every kind and
            the in-projections of nn.MultiheadAttention are normalized.
        lr: learning rate.
        momentum: momentum factor, in [0, 1).
        weight_decay: added to the normalized gradient, or decoupled.
        norm: "l2" (squared) or "l1".
        beta: decay of the running average of the input power, in [0, 1).
        preset: "paper" or "released"; see the module.
        dampening: of momentum, in [0, 1].
        nesterov: Nesterov's momentum; needs momentum > 0 and dampening = 0.
        eps: least value of the damped power that divides a gradient, > 0.
        granularity: "channel", "layer" or "patch".
        damping: "log", "log1p" or "none".
        power_init: "first" or "zero".
        decoupled_weight_decay: W = W (1 - lr weight_decay) instead.
        maximize: ascend.
        foreach: update all parameters together (the default) or one by one.
        groups: parameter groups: tables with `modules` (a list of modules) or `names` (a list of
            patterns, as "head.*") and any of lr, momentum, dampening, nesterov, weight_decay, beta, eps,
            maximize. Parameters in no group form the last one.
        plain: patterns of names of weights to step without the division, as "*.out_proj.weight".

    Raises:
        ValueError: an argument breaks its rule; the text gives name, value and rule. Or a layer's
            input cannot be seen (recurrent layers, nn.Bilinear, the out-projection of
            nn.MultiheadAttention), or the preset does not run on it; the text names the parameter.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        norm: str = "l2",
        beta: float = 0.9,
        preset: str = "paper",
        *,
        dampening: float = 0.0,
        nesterov: bool = False,
        eps: float = 0.01,
        granularity: str = "channel",
        damping: str = "log",
        power_init: str = "first",
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
        groups: Sequence[Mapping[str, Any]] = (),
        plain: Sequence[str] = (),
    ) -> None:
        """Check the arguments and hook the layers."""
        options = {
            "preset": preset,
            "norm": norm,
            "granularity": granularity,
            "damping": damping,
            "power_init": power_init,
        }
        for name, choice in options.items():
            if choice not in _CHOICES[name]:
                raise ValueError(f"{name} must be one of {', '.join(_CHOICES[name])}, got {choice!r}")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "nesterov": nesterov,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "beta": beta,
            "eps": eps,
            "maximize": maximize,
        }
        names: dict[Tensor, str] = {p: name for name, p in model.named_parameters() if p.requires_grad}
        if preset == "released":
            _refuse_released({**options, **defaults}, model)
        super().__init__(_grouped(model, names, groups, set(defaults)), defaults)
        for group in self.param_groups:
            _check(group)
        self._options = options
        self._foreach = foreach is not False
        self._model = model
        self._sums: dict[int, tuple[Callable[[], Tensor | None], int, Tensor | None]] = {}
        self._clamped: dict[Tensor, Tensor] = {}
        left_out = {n for n in names.values() if any(fnmatch.fnmatchcase(n, pattern) for pattern in plain)}
        self._observer = InputObserver(model, self._measure, frozenset(left_out))

    def close(self) -> None:
        """Remove the hooks from the model."""
        self._observer.close()

    def clamped_share(self) -> float:
        """Share of (sample, channel) deviations that `released` clamped in the last pass, mean over layers.

        NaN with the preset `paper`, and before the first pass.
        """
        if not self._clamped:
            return math.nan
        return torch.stack([clamped.double().mean() for clamped in self._clamped.values()]).mean().item()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset gradients, and the powers that came with them: a step that a GradScaler skipped leaves none."""
        super().zero_grad(set_to_none)
        self._forget()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state; powers keep their own type, which torch would cast to the parameter's."""
        super().load_state_dict(state_dict)
        restore_type(self, state_dict, "power")

    def _measure(self, module: nn.Module, x: Tensor) -> tuple[Tensor, int]:
        norm = self._options["norm"]
        if self._options["preset"] == "released":
            total, count, clamped = released_power(module, x, norm)
            self._clamped[module.weight] = clamped  # type: ignore[index]
            return total, count
        granularity = self._options["granularity"]
        if not isinstance(module, Convolution):
            return input_power(module, x, norm, granularity)
        # A block's first convolution and its shortcut read the same tensor: measured once.
        of, version, sums = self._sums.get(id(x), (_nothing, 0, None))
        if of() is not x or version != x._version:  # noqa: SLF001  another tensor, or changed in place since
            sums = batch_sums(x, module, norm, granularity)
            self._sums[id(x)] = (weakref.ref(x), x._version, sums)  # noqa: SLF001
        return input_power(module, x, norm, granularity, sums)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient; returns the closure's loss.

        Raises:
            RuntimeError: a layer has a gradient but no forward pass of it was seen; the text names it.
        """
        loss = loss_of(closure)
        powers = self._observer.collected()
        if isinstance(self._model, DistributedDataParallel):
            _average_over_ranks(powers, self._model.process_group)
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            for weight in weights:
                if weight in self._observer.names and weight not in powers:
                    raise RuntimeError(
                        f"{self._observer.names[weight]} has a gradient, but no forward pass of its layer was seen "
                        "since the last step"
                    )
            for part in [weights] if self._foreach else [[w] for w in weights]:
                if part:
                    self._update(part, powers, group)
        self._forget()
        return loss

    def _forget(self) -> None:
        self._observer.forget()
        self._sums.clear()

    def _update(self, weights: list[Tensor], powers: dict[Tensor, Tensor], group: dict[str, Any]) -> None:
        gradients = [w.grad for w in weights if w.grad is not None]
        if group["maximize"]:
            gradients = list(torch._foreach_neg(gradients))
        layers = [i for i, w in enumerate(weights) if w in powers]
        released = self._options["preset"] == "released"
        divisors = self._divisors([weights[i] for i in layers], powers, group)
        if not released:
            gradients = _divided(gradients, layers, divisors)
        if group["weight_decay"] and group["decoupled_weight_decay"]:
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        elif group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
        if group["momentum"]:
            gradients = self._with_momentum(weights, gradients, group)
        if released:
            gradients = _divided(gradients, layers, divisors)
        torch._foreach_add_(weights, gradients, alpha=-group["lr"])

    def _divisors(
        self, weights: list[Tensor], powers: dict[Tensor, Tensor], group: dict[str, Any]
    ) -> list[Tensor]:
        if not weights:
            return []
        seen = [powers[w] for w in weights]
        if self._options["preset"] == "released":
            factor = (math.sqrt(1 - group["momentum"]) + 1e-6) / math.sqrt(1 + 1e-6)
            return [power.log().clamp_min(0.01) * factor for power in seen]
        old = [(w, power) for w, power in zip(weights, seen, strict=True) if "power" in self.state[w]]
        for weight, power in zip(weights, seen, strict=True):
            if "power" not in self.state[weight]:
                first = self._options["power_init"] == "first"
                self.state[weight]["power"] = power.clone() if first else power * (1 - group["beta"])
        if old:
            running = [self.state[w]["power"] for w, _ in old]
            # Not lerp_, which makes NaN of an infinite average.
            torch._foreach_mul_(running, group["beta"])
            torch._foreach_add_(running, [power for _, power in old], alpha=1 - group["beta"])
        current = [self.state[w]["power"] for w in weights]
        damping = self._options["damping"]
        if damping == "none":
            return list(torch._foreach_add(current, group["eps"]))
        # log P can be negative; the paper clips it at eps.
        logs = torch._foreach_log1p(current) if damping == "log1p" else torch._foreach_log(current)
        return list(torch._foreach_clamp_min(logs, group["eps"]))

    def _with_momentum(
        self, weights: list[Tensor], gradients: list[Tensor], group: dict[str, Any]
    ) -> list[Tensor]:
        old = [i for i, w in enumerate(weights) if "momentum_buffer" in self.state[w]]
        if old:
            buffers = [self.state[weights[i]]["momentum_buffer"] for i in old]
            torch._foreach_mul_(buffers, group["momentum"])
            torch._foreach_add_(buffers, [gradients[i] for i in old], alpha=1 - group["dampening"])
        for weight, gradient in zip(weights, gradients, strict=True):
            if "momentum_buffer" not in self.state[weight]:
                self.state[weight]["momentum_buffer"] = gradient.clone()
        buffers = [self.state[w]["momentum_buffer"] for w in weights]
        if group["nesterov"]:
            return list(torch._foreach_add(gradients, buffers, alpha=group["momentum"]))
        return buffers


def _nothing() -> None:
    return None


def _divided(gradients: list[Tensor], layers: list[int], divisors: list[Tensor]) -> list[Tensor]:
    """The gradients, those of layers divided; new tensors, the given ones stay."""
    if not layers:
        return gradients
    ours = [gradients[i] for i in layers]
    cast = [d if d.dtype == g.dtype else d.to(g.dtype) for g, d in zip(ours, divisors, strict=True)]
    found = list(gradients)
    for i, quotient in zip(layers, torch._foreach_div(ours, cast), strict=True):
        found[i] = quotient
    return found


def _grouped(
    model: nn.Module, names: dict[Tensor, str], groups: Sequence[Mapping[str, Any]], known: set[str]
) -> list[dict[str, Any]]:
    """The user's groups as torch's, every parameter in one of them."""
    taken: dict[Tensor, int] = {}
    found: list[dict[str, Any]] = []
    for i, group in enumerate(groups):
        options = {k: v for k, v in group.items() if k not in ("modules", "names")}
        unknown = set(options) - known
        if unknown or not ({"modules", "names"} & set(group)):
            raise ValueError(
                f"groups[{i}] needs `modules` or `names`, and takes {', '.join(sorted(known))}; got {sorted(group)}"
            )
        members = {p for module in group.get("modules", ()) for p in module.parameters() if p.requires_grad}
        for pattern in group.get("names", ()):
            matched = {p for p, name in names.items() if fnmatch.fnmatchcase(name, pattern)}
            if not matched:
                raise ValueError(f"groups[{i}]: no parameter is called {pattern!r}")
            members |= matched
        for parameter in members:
            if parameter not in names or parameter in taken:
                why = (
                    "is not the model's"
                    if parameter not in names
                    else f"is in groups[{taken[parameter]}] too"
                )
                raise ValueError(f"groups[{i}]: {names.get(parameter, 'a parameter')} {why}")
            taken[parameter] = i
        found.append({"params": [p for p in names if p in members], **options})
    rest = [p for p in names if p not in taken]
    return [*found, {"params": rest}] if rest or not found else found


def _check(group: Mapping[str, Any]) -> None:
    for name in ("lr", "weight_decay"):
        if not group[name] >= 0:
            raise ValueError(f"{name} must be >= 0, got {group[name]}")
    for name in ("momentum", "beta"):
        if not 0 <= group[name] < 1:
            raise ValueError(f"{name} must be >= 0 and < 1, got {group[name]}")
    if not 0 <= group["dampening"] <= 1:
        raise ValueError(f"dampening must be >= 0 and <= 1, got {group['dampening']}")
    if not group["eps"] > 0:
        raise ValueError(f"eps must be > 0, got {group['eps']}")
    if group["nesterov"] and (not group["momentum"] or group["dampening"]):
        raise ValueError(
            f"nesterov needs momentum > 0 and dampening = 0, got {group['momentum']} and {group['dampening']}"
        )


def _refuse_released(options: Mapping[str, Any], model: nn.Module) -> None:
    for name, default in PAPER_ONLY.items():
        if options[name] != default:
            raise ValueError(
                f"{name} has no place in preset 'released'; it must be {default!r}, got {options[name]!r}"
            )
    for path, module in model.named_modules():
        if isinstance(module, Convolution) and (module.groups > 1 or not isinstance(module, nn.Conv2d)):
            raise ValueError(
                f"{path or 'the model'}: the released code runs Linear and ungrouped Conv2d layers only (its shapes do "
                f"not broadcast over {type(module).__name__} with groups = {module.groups}); use preset 'paper'"
            )


def _average_over_ranks(powers: dict[Tensor, Tensor], group: Any) -> None:
    """Replace each power by its mean over the ranks, in one message."""
    if not powers:
        return
    weights = list(powers)
    flat = torch.cat([powers[w].flatten() for w in weights])
    dist.all_reduce(flat, group=group)
    flat /= dist.get_world_size(group)
    for weight, part in zip(weights, flat.split([powers[w].numel() for w in weights]), strict=True):
        powers[weight] = part.view_as(powers[weight])
