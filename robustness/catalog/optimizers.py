"""Optimizers by name. The learning rate is no argument here: it is the axis of every study.

`default_lr` is the value that the optimizer's own documentation gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from robustness.catalog.registry import Argument, Entry, Registry

__all__ = ["OPTIMIZERS", "OptimizerEntry"]


def _no_rule(_: Mapping[str, Any]) -> str | None:
    return None


@dataclass(frozen=True, kw_only=True)
class OptimizerEntry(Entry):
    """An optimizer; `refusal` says why arguments that are fine one by one do not go together."""

    default_lr: float
    refusal: Callable[[Mapping[str, Any]], str | None] = _no_rule


def _nonnegative(name: str, default: float, doc: str) -> Argument:
    return Argument(name=name, kind="float", default=default, low=0.0, doc=doc)


def _share(name: str, default: float, doc: str) -> Argument:
    """An argument in [0, 1)."""
    return Argument(name=name, kind="float", default=default, low=0.0, high=1.0, high_open=True, doc=doc)


def _flag(name: str, doc: str) -> Argument:
    return Argument(name=name, kind="bool", default=False, doc=doc)


def _weight_decay(default: float = 0.0) -> Argument:
    return _nonnegative("weight_decay", default, "weight decay")


def _eps(default: float) -> Argument:
    return _nonnegative("eps", default, "added to the denominator")


_BETAS = Argument(
    name="betas",
    kind="floats",
    default=(0.9, 0.999),
    length=2,
    low=0.0,
    high=1.0,
    high_open=True,
    doc="decay of the running averages of the gradient and of its square",
)
_MOMENTUM = _share("momentum", 0.0, "momentum factor")
_DAMPENING = Argument(
    name="dampening", kind="float", default=0.0, low=0.0, high=1.0, doc="dampening of momentum"
)


def _sgd_refusal(arguments: Mapping[str, Any]) -> str | None:
    if arguments["nesterov"] and (arguments["momentum"] == 0 or arguments["dampening"] != 0):
        return "nesterov needs momentum > 0 and dampening = 0"
    return None


OPTIMIZERS: Registry[OptimizerEntry] = Registry(
    "optimizer",
    (
        OptimizerEntry(
            name="insgd",
            summary="input normalized SGD, the published algorithm",
            target="robustness.optimizers.insgd:INSGD",
            default_lr=0.1,
            source="Atici, Pan, Cetin, TMLR 2024 (arXiv 2212.09921)",
            arguments=(
                Argument(
                    name="norm",
                    kind="str",
                    default="l2",
                    choices=("l1", "l2"),
                    doc="power of a layer's input: its squared l2 norm, or its l1 norm",
                ),
                _share("momentum", 0.9, "momentum factor"),
                _DAMPENING,
                _share("beta", 0.9, "decay of the running average of the input power"),
                Argument(
                    name="eps",
                    kind="float",
                    default=0.01,
                    low=0.0,
                    low_open=True,
                    doc="least value of log P that divides a gradient",
                ),
                _weight_decay(),
                Argument(
                    name="power_init",
                    kind="str",
                    default="first",
                    choices=("first", "zero"),
                    doc="the running input power starts at the first batch's, or at zero",
                ),
            ),
        ),
        OptimizerEntry(
            name="sgd",
            summary="stochastic gradient descent; momentum and Nesterov by its arguments",
            target="torch.optim:SGD",
            default_lr=1e-3,
            refusal=_sgd_refusal,
            arguments=(
                _MOMENTUM,
                _DAMPENING,
                _weight_decay(),
                _flag("nesterov", "Nesterov's momentum"),
            ),
        ),
        OptimizerEntry(
            name="adam",
            summary="Adam",
            target="torch.optim:Adam",
            default_lr=1e-3,
            source="Kingma, Ba 2015, arXiv 1412.6980",
            arguments=(
                _BETAS,
                _eps(1e-8),
                _weight_decay(),
                _flag("amsgrad", "use the largest second moment so far"),
                _flag("decoupled_weight_decay", "decay weights outside the adaptive step"),
            ),
        ),
        OptimizerEntry(
            name="adamw",
            summary="Adam with decoupled weight decay",
            target="torch.optim:AdamW",
            default_lr=1e-3,
            source="Loshchilov, Hutter 2019, arXiv 1711.05101",
            arguments=(
                _BETAS,
                _eps(1e-8),
                _weight_decay(0.01),
                _flag("amsgrad", "use the largest second moment so far"),
            ),
        ),
        OptimizerEntry(
            name="adagrad",
            summary="Adagrad",
            target="torch.optim:Adagrad",
            default_lr=1e-2,
            source="Duchi et al. 2011",
            arguments=(
                _nonnegative("lr_decay", 0.0, "decay of the learning rate"),
                _weight_decay(),
                _nonnegative("initial_accumulator_value", 0.0, "start of the sum of squares"),
                _eps(1e-10),
            ),
        ),
        OptimizerEntry(
            name="adadelta",
            summary="Adadelta",
            target="torch.optim:Adadelta",
            default_lr=1.0,
            source="Zeiler 2012, arXiv 1212.5701",
            arguments=(
                _share("rho", 0.9, "decay of the running averages"),
                _eps(1e-6),
                _weight_decay(),
            ),
        ),
        OptimizerEntry(
            name="rmsprop",
            summary="RMSprop",
            target="torch.optim:RMSprop",
            default_lr=1e-2,
            source="Hinton 2012, lecture 6e",
            arguments=(
                _share("alpha", 0.99, "decay of the running average of squares"),
                _eps(1e-8),
                _weight_decay(),
                _MOMENTUM,
                _flag("centered", "divide by the variance instead of the second moment"),
            ),
        ),
    ),
)
