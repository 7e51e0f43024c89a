"""Models by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
        has_groups: some of its convolutions are grouped or depthwise.
        is_large: a step takes about a second on a core, or more; the scale smoke gives it two of them.
        norms: what the task's `norm` may be.
        least_side: of an image, in pixels: what is left of a smaller one is a single pixel before the last halving.
    """

    needs_images: bool
    has_convolutions: bool
    residual_branches: bool = False
    has_groups: bool = False
    is_large: bool = False
    norms: tuple[str, ...] = ("none", "batch", "layer", "group")
    least_side: int = 1

    def refusal(
        self, norm: str, shape: tuple[int, ...], arguments: Mapping[str, Any]
    ) -> tuple[str, str] | None:
        """Why it cannot be built with a norm and arguments for inputs of a shape: (field, rule); None where it can."""
        if norm not in self.norms:
            return "norm", f"must be one of {', '.join(self.norms)} with {self.name}, got {norm}"
        if not self.needs_images:
            return None
        if len(shape) != 3:
            return "model", f"{self.name} needs images; inputs have shape {shape}"
        if min(shape[1:]) < self.least_side:
            return (
                "model",
                f"{self.name} needs images of at least {self.least_side} pixels a side, got {shape[1:]}",
            )
        patch, heads = arguments.get("patch", 1), arguments.get("heads", 1)
        if any(side % patch for side in shape[1:]):
            return "patch", f"must divide the sides of images, {shape[1:]}, got {patch}"
        if heads > 1 and arguments["width"] % heads:
            return "heads", f"must divide the width, {arguments['width']}, got {heads}"
        return None


def _count(name: str, default: int, high: int, doc: str) -> Argument:
    return Argument(name=name, kind="int", default=default, low=1, high=high, doc=doc)


def _dropout(default: float, doc: str) -> Argument:
    return Argument(name="dropout", kind="float", default=default, low=0.0, high=1.0, high_open=True, doc=doc)


def _residual(
    name: str,
    summary: str,
    target: str,
    *arguments: Argument,
    source: str,
    least_side: int = 8,
    has_groups: bool = False,
) -> ModelEntry:
    """A convolutional network with residual branches."""
    return ModelEntry(
        name=name,
        summary=summary,
        target=f"robustness.tasks.models.{target}",
        arguments=arguments,
        source=source,
        needs_images=True,
        has_convolutions=True,
        residual_branches=True,
        has_groups=has_groups,
        is_large=True,
        least_side=least_side,
    )


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
                _count("width", 64, 65_536, "hidden units a layer"),
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
                _dropout(0.2, "share of units dropped before the last ReLU"),
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
            is_large=True,
            least_side=4,
            source="He et al. 2016, arXiv 1512.03385",
        ),
        _residual(
            "resnet18",
            "residual network of 18 layers, 11.2 million parameters; 3x3 stem without pooling up to 64 pixels",
            "imagenet_resnet:resnet18",
            source="He et al. 2016, arXiv 1512.03385",
        ),
        _residual(
            "resnet50",
            "torchvision's residual network of 50 layers, 25.6 million parameters; 3x3 stem up to 64 pixels",
            "imagenet_resnet:resnet50",
            source="He et al. 2016, arXiv 1512.03385",
        ),
        _residual(
            "wide-resnet18",
            "the INSGD authors' network: resnet18 with its 3x3 stem at every size, 64 to 512 channels",
            "imagenet_resnet:wide_resnet18",
            source="Atici, Pan, Cetin, TMLR 2024, released code",
        ),
        _residual(
            "wide-resnet20",
            "resnet20 widened, with norm and ReLU before convolutions; INSGD's papers state no factor, 4 is ours",
            "wide_resnet:WideResNet20",
            _count("widen", 4, 64, "factor on the 16, 32 and 64 channels"),
            least_side=4,
            source="Zagoruyko, Komodakis 2016, arXiv 1605.07146",
        ),
        _residual(
            "mobilenet-v3",
            "torchvision's large MobileNetV3, 5.5 million parameters; first stride 1 up to 64 pixels",
            "mobilenet:MobileNetV3",
            _dropout(0.2, "share of units dropped before the head"),
            has_groups=True,
            least_side=16,
            source="Howard et al. 2019, arXiv 1905.02244",
        ),
        ModelEntry(
            name="vit",
            summary="vision transformer with a class token, sizes as in the INSGD authors' code",
            target="robustness.tasks.models.vit:ViT",
            needs_images=True,
            has_convolutions=False,
            residual_branches=True,
            is_large=True,
            norms=("none", "layer"),
            arguments=(
                _count("patch", 4, 1_024, "side of a patch, in pixels"),
                _count("depth", 6, 100, "blocks"),
                _count("heads", 8, 1_024, "attention heads"),
                _count("width", 512, 65_536, "numbers a token"),
                _count("mlp_width", 512, 65_536, "hidden units of a block's MLP"),
                _dropout(0.1, "share of units dropped after the embedding and in each branch"),
            ),
            source="Dosovitskiy et al. 2021, arXiv 2010.11929",
        ),
    ),
)
