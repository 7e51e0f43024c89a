"""MobileNetV3, as torchvision builds its large form.

Source: Howard et al. 2019, arXiv 1905.02244.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large
from torchvision.models.mobilenetv3 import InvertedResidual

from robustness.tasks.models.layers import Dropout, is_small, norm_layer

__all__ = ["MobileNetV3"]


class MobileNetV3(nn.Module):
    """Inverted residuals with depthwise convolutions; 5.48 million parameters on ImageNet.

    Norm layers have PyTorch's own constants, as in every model here (torchvision's have others). On small images
    the first convolution has stride 1. Convolutions with a norm layer have no biases, whatever the normalization.
    """

    def __init__(self, *, shape: tuple[int, ...], classes: int, norm: str, dropout: float) -> None:
        """Build for images of `shape` (channels, height, width)."""
        super().__init__()
        net: Any = mobilenet_v3_large(num_classes=classes, norm_layer=partial(norm_layer, norm, images=True))
        stride = 1 if is_small(shape) else 2
        net.features[0][0] = nn.Conv2d(shape[0], 16, 3, stride=stride, padding=1, bias=False)
        net.classifier[2] = Dropout(dropout)  # torchvision's draws from the global generator
        self.features, self.classifier = net.features, net.classifier

    def residual_ends(self) -> list[nn.Module]:
        """The last layer with weights of every residual branch: a zero there makes the block the identity."""
        blocks = [m for m in self.modules() if isinstance(m, InvertedResidual) and m.use_res_connect]
        ends = []
        for block in blocks:
            convolution, norm = list(block.block[-1])
            ends.append(convolution if isinstance(norm, nn.Identity) else norm)
        return ends

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W)."""
        logits: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return logits
