"""Weight initializations by name.

They act on every Linear and convolution weight, the head included, and set those layers' biases
to 0; normalization layers stay as they are. `default` is PyTorch's own, weights and biases.
"""

from __future__ import annotations

from dataclasses import dataclass

from robustness.catalog.models import ModelEntry
from robustness.catalog.registry import Argument, Entry, Registry

__all__ = ["INITS", "InitEntry"]

_SCALE = Argument(
    name="scale", kind="float", default=1.0, low=0.0, low_open=True, high=1e6, doc="factor on every weight"
)


@dataclass(frozen=True, kw_only=True)
class InitEntry(Entry):
    """An initialization; `refusal` says why it does not fit a model."""

    only_linear: bool = False
    needs_residual: bool = False

    def refusal(self, model: ModelEntry) -> str | None:
        """Why this initialization does not apply to the model; None where it does."""
        if self.only_linear and model.has_convolutions:
            return f"{self.name} fills matrices only and {model.name} has convolutions"
        if self.needs_residual and not model.residual_branches:
            return (
                f"{self.name} needs residual branches that end in a layer without ReLU; {model.name} has none"
            )
        return None


def _init(name: str, summary: str, *arguments: Argument, source: str = "", **traits: bool) -> InitEntry:
    return InitEntry(
        name=name,
        summary=summary,
        target=f"robustness.inits:{name.replace('-', '_')}",
        arguments=(*arguments, _SCALE),
        source=source,
        **traits,
    )


_STD = Argument(
    name="std", kind="float", default=0.01, low=0.0, low_open=True, high=1e6, doc="standard deviation"
)
_HE = "He et al. 2015, arXiv 1502.01852"
_GLOROT = "Glorot, Bengio 2010"

INITS: Registry[InitEntry] = Registry(
    "initialization",
    (
        _init("default", "PyTorch's own: uniform within 1 / sqrt(fan_in), weights and biases"),
        _init("kaiming-normal", "normal, variance 2 / fan_in", source=_HE),
        _init("kaiming-uniform", "uniform, variance 2 / fan_in", source=_HE),
        _init("xavier-normal", "normal, variance 2 / (fan_in + fan_out)", source=_GLOROT),
        _init("xavier-uniform", "uniform, variance 2 / (fan_in + fan_out)", source=_GLOROT),
        _init("lecun-normal", "normal, variance 1 / fan_in", source="LeCun et al. 1998"),
        _init("orthogonal", "orthogonal rows or columns", source="Saxe et al. 2013, arXiv 1312.6120"),
        _init("normal", "normal of a given standard deviation", _STD),
        _init(
            "uniform",
            "uniform within a given bound",
            Argument(
                name="bound", kind="float", default=0.05, low=0.0, low_open=True, high=1e6, doc="half width"
            ),
        ),
        _init(
            "sparse",
            "normal with a share of each column set to zero",
            Argument(
                name="sparsity",
                kind="float",
                default=0.9,
                low=0.0,
                high=1.0,
                high_open=True,
                doc="share of zeros a column",
            ),
            _STD,
            source="Martens 2010",
            only_linear=True,
        ),
        _init(
            "zero-residual",
            "kaiming-normal, with the last layer of every residual branch at zero",
            source="Goyal et al. 2017, arXiv 1706.02677",
            needs_residual=True,
        ),
    ),
)
