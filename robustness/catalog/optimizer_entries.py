"""The optimizers that come with us: torch's, INSGD, and the controls that it is compared with.

The learning rate is no argument here: it is the axis of every study.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robustness.catalog.models import ModelEntry
from robustness.catalog.optimizer_entry import OptimizerEntry
from robustness.catalog.registry import Argument

__all__ = ["ENTRIES"]


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


def _positive(name: str, default: float, doc: str) -> Argument:
    return Argument(name=name, kind="float", default=default, low=0.0, low_open=True, doc=doc)


def _choice(name: str, choices: tuple[str, ...], doc: str) -> Argument:
    """An argument whose default is the first choice."""
    return Argument(name=name, kind="str", default=choices[0], choices=choices, doc=doc)


_NORM = Argument(
    name="norm",
    kind="str",
    default="l2",
    choices=("l1", "l2"),
    doc="power of a layer's input: its squared l2 norm, or its l1 norm",
)
_MOMENTUM = _share("momentum", 0.0, "momentum factor")
_DAMPENING = Argument(
    name="dampening", kind="float", default=0.0, low=0.0, high=1.0, doc="dampening of momentum"
)


PAPER_ONLY: dict[str, Any] = {
    "beta": 0.9,
    "eps": 0.01,
    "power_init": "first",
    "granularity": "channel",
    "damping": "log",
    "decoupled_weight_decay": False,
}
"""Arguments of INSGD that its preset `released` has no place for, with their defaults."""


def _sgd_rule(arguments: Mapping[str, Any]) -> str | None:
    if arguments["nesterov"] and (arguments["momentum"] == 0 or arguments["dampening"] != 0):
        return "nesterov needs momentum > 0 and dampening = 0"
    if arguments["dampening"] and not arguments["momentum"]:
        return "dampening does nothing without momentum"
    return None


def _insgd_rule(arguments: Mapping[str, Any]) -> str | None:
    together = _sgd_rule(arguments)
    if together:
        return together
    if arguments["preset"] == "released":
        for name, value in PAPER_ONLY.items():
            if arguments[name] != value:
                return f"{name} has no place in preset released; leave it out"
    return None


def _insgd_model_rule(arguments: Mapping[str, Any], model: ModelEntry) -> str | None:
    if arguments["preset"] == "released" and model.has_groups:
        return (
            f"preset released does not run {model.name}: in the released code, shapes do not broadcast over grouped "
            "convolutions; use preset paper"
        )
    return None


_CONTROL = "the design's list of controls for a fair study of INSGD"

ENTRIES = (
    OptimizerEntry(
        name="insgd",
        takes_model=True,
        rule=_insgd_rule,
        model_rule=_insgd_model_rule,
        summary="input normalized SGD: the published algorithm, or the released code",
        target="robustness.optimizers.insgd:INSGD",
        default_lr=0.1,
        source="Atici, Pan, Cetin, TMLR 2024 (arXiv 2212.09921)",
        arguments=(
            _NORM,
            _share("momentum", 0.9, "momentum factor"),
            _DAMPENING,
            _flag("nesterov", "Nesterov's momentum"),
            _share("beta", 0.9, "decay of the running average of the input power"),
            _positive("eps", 0.01, "least value of the damped power that divides a gradient"),
            _weight_decay(),
            _flag("decoupled_weight_decay", "decay weights outside the normalized step"),
            _choice("preset", ("paper", "released"), "the published algorithm, or the released code"),
            _choice(
                "granularity",
                ("channel", "layer", "patch"),
                "one power a channel, a layer, or of the fan-in that one output sees",
            ),
            _choice("damping", ("log", "log1p", "none"), "what of the power divides; none: eps + P"),
            _choice(
                "power_init", ("first", "zero"), "the running power starts at the first batch's, or at zero"
            ),
        ),
    ),
    OptimizerEntry(
        name="sgd",
        summary="stochastic gradient descent; momentum and Nesterov by its arguments",
        target="torch.optim:SGD",
        default_lr=1e-3,
        rule=_sgd_rule,
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
    OptimizerEntry(
        name="nadam",
        summary="Adam with Nesterov's momentum",
        target="torch.optim:NAdam",
        default_lr=2e-3,
        source="Dozat 2016",
        arguments=(
            _BETAS,
            _eps(1e-8),
            _weight_decay(),
            _nonnegative("momentum_decay", 0.004, "decay of the momentum"),
            _flag("decoupled_weight_decay", "decay weights outside the adaptive step"),
        ),
    ),
    OptimizerEntry(
        name="radam",
        summary="rectified Adam",
        target="torch.optim:RAdam",
        default_lr=1e-3,
        source="Liu et al. 2020, arXiv 1908.03265",
        arguments=(
            _BETAS,
            _eps(1e-8),
            _weight_decay(),
            _flag("decoupled_weight_decay", "decay weights outside the adaptive step"),
        ),
    ),
    OptimizerEntry(
        name="adamax",
        summary="Adam with the infinity norm",
        target="torch.optim:Adamax",
        default_lr=2e-3,
        source="Kingma, Ba 2015, arXiv 1412.6980",
        arguments=(_BETAS, _eps(1e-8), _weight_decay()),
    ),
    OptimizerEntry(
        name="adafactor",
        summary="Adafactor: factored second moments",
        target="torch.optim:Adafactor",
        default_lr=1e-2,
        source="Shazeer, Stern 2018, arXiv 1804.04235",
        arguments=(
            Argument(
                name="beta2_decay", kind="float", default=-0.8, high=0.0, doc="exponent of beta2's decay"
            ),
            _positive("d", 1.0, "clipping threshold of the update"),
            _weight_decay(),
        ),
    ),
    OptimizerEntry(
        name="muon",
        summary="Muon on matrices, AdamW on the rest",
        target="robustness.optimizers.muon:MuonWithAdamW",
        default_lr=1e-3,
        source="Jordan et al. 2024; torch.optim.Muon",
        arguments=(
            _weight_decay(0.1),
            _share("momentum", 0.95, "momentum factor of Muon"),
            Argument(name="nesterov", kind="bool", default=True, doc="Nesterov's momentum in Muon"),
            Argument(name="ns_steps", kind="int", default=5, low=1, high=99, doc="Newton-Schulz iterations"),
            _choice("adjust_lr_fn", ("original", "match_rms_adamw"), "length of Muon's steps"),
            _BETAS,
            _eps(1e-8),
        ),
    ),
    OptimizerEntry(
        name="lars",
        summary="layer-wise adaptive rate scaling",
        target="robustness.optimizers.trust:LARS",
        default_lr=1.0,
        source="You, Gitman, Ginsburg 2017, arXiv 1708.03888",
        arguments=(
            _share("momentum", 0.9, "momentum factor"),
            _weight_decay(),
            _nonnegative("trust_coefficient", 1e-3, "length of a step, in lengths of the weights"),
        ),
    ),
    OptimizerEntry(
        name="lamb",
        summary="Adam whose steps are as long as a layer's weights",
        target="robustness.optimizers.trust:LAMB",
        default_lr=1e-3,
        source="You et al. 2020, arXiv 1904.00962",
        arguments=(_BETAS, _eps(1e-6), _weight_decay()),
    ),
    OptimizerEntry(
        name="normalized-gradient",
        summary="the gradient divided by its norm over all parameters",
        target="robustness.optimizers.trust:NormalizedSGD",
        default_lr=0.1,
        source="Hazan, Levy, Shalev-Shwartz 2015, arXiv 1507.02030",
        arguments=(_MOMENTUM, _weight_decay(), _eps(1e-12)),
    ),
    OptimizerEntry(
        name="nlms",
        summary="normalized least mean squares: INSGD without the logarithm, eps + P",
        target="robustness.optimizers.nlms:NLMS",
        takes_model=True,
        default_lr=0.1,
        source="Nagumo, Noda 1967",
        arguments=(
            _NORM,
            _share("momentum", 0.9, "momentum factor"),
            _share("beta", 0.9, "decay of the running average of the input power"),
            _positive("eps", 1.0, "added to the power"),
            _weight_decay(),
        ),
    ),
    OptimizerEntry(
        name="sgd-layerwise",
        summary="SGD with the fixed multipliers a layer of the released INSGD code",
        target="robustness.optimizers.scaled:LayerwiseSGD",
        takes_model=True,
        default_lr=0.1,
        source=_CONTROL,
        arguments=(_share("momentum", 0.9, "momentum factor"), _weight_decay()),
    ),
    *(
        OptimizerEntry(
            name=name,
            summary=summary,
            target=f"robustness.optimizers.scaled:{attribute}",
            takes_model=True,
            default_lr=0.1,
            source=_CONTROL,
            arguments=(
                _share("momentum", 0.9, "momentum factor"),
                _weight_decay(),
                _NORM,
                _positive("eps", 0.01, "least value of log P that divides a gradient"),
            ),
        )
        for name, attribute, summary in (
            ("sgd-frozen", "FrozenSGD", "SGD divided by INSGD's divisors of the first batch"),
            ("sgd-scaled", "ScaledSGD", "SGD times one number: the mean of sgd-frozen's multipliers"),
        )
    ),
)
