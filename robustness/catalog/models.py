"""Models by name."""

from __future__ import annotations

from dataclasses import dataclass

from robustness.catalog.registry import Argument, Entry, Registry

__all__ = ["MODELS", "ModelEntry"]

_ACTIVATION = Argument(
    name="activation", kind="str", default="relu", choices=("relu", "tanh"), doc="nonlinearity"
)


@dataclass(frozen=True, kw_only=True)
class ModelEntry(Entry):
    """A model.

    Attributes:
        needs_images: inputs must be (channels, height, width); otherwise any shape is flattened.
        has_convolutions: what some initializations do not apply to.
        residual_branches: ends of residual branches that `zero-residual` may set to zero.
    """

    needs_images: bool
    has_convolutions: bool
    residual_branches: bool = False


MODELS: Registry[ModelEntry] = Registry(
    "model",
    (
        ModelEntry(
            name="mlp",
            summary="multilayer perceptron",
            target="robustness.tasks.models.mlp:MLP",
            needs_images=False,
            has_convolutions=False,
            arguments=(
                Argument(
                    name="width", kind="int", default=64, low=1, high=65_536, doc="hidden units a layer"
                ),
                Argument(name="depth", kind="int", default=1, low=0, high=100, doc="hidden layers"),
                _ACTIVATION,
            ),
        ),
        ModelEntry(
            name="toy-cnn",
            summary="the INSGD paper's four-layer convolutional network with one shortcut",
            target="robustness.tasks.models.toy_cnn:ToyCNN",
            needs_images=True,
            has_convolutions=True,
            arguments=(
                Argument(
                    name="dropout",
                    kind="float",
                    default=0.2,
                    low=0.0,
                    high=1.0,
                    high_open=True,
                    doc="share of units dropped before the last ReLU",
                ),
                _ACTIVATION,
            ),
            source="Atici, Pan, Cetin, TMLR 2024",
        ),
        ModelEntry(
            name="resnet20",
            summary="residual network of 20 layers for small images, shortcuts without parameters",
            target="robustness.tasks.models.resnet:ResNet20",
            needs_images=True,
            has_convolutions=True,
            residual_branches=True,
            source="He et al. 2016, arXiv 1512.03385",
        ),
    ),
)
