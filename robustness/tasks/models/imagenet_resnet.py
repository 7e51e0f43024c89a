"""The residual networks of ImageNet, as torchvision builds them, and on small images with a small stem.

Source: He et al. 2016, arXiv 1512.03385, section 4.1 (projection shortcuts, option B); the stem for small images
(3x3, stride 1, no pooling) as is usual on CIFAR and in the INSGD authors' released code.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from robustness.tasks.models.layers import is_small, norm_layer

__all__ = ["resnet18", "resnet50", "wide_resnet18"]


class _ResNet(nn.Module):
    """torchvision's, with any normalization, any number of channels, and the small stem where asked for.

    Convolutions have no biases, whatever the normalization.
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layers: list[int],
        *,
        channels: int,
        classes: int,
        norm: str,
        small_stem: bool,
    ) -> None:
        super().__init__()
        self.net = ResNet(
            block, layers, num_classes=classes, norm_layer=partial(norm_layer, norm, images=True)
        )
        size, stride, padding = (3, 1, 1) if small_stem else (7, 2, 3)
        self.net.conv1 = nn.Conv2d(channels, 64, size, stride=stride, padding=padding, bias=False)
        if small_stem:
            self.net.maxpool = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W)."""
        logits: Tensor = self.net(x)
        return logits

    def residual_ends(self) -> list[nn.Module]:
        """The last layer with weights of every residual branch: a zero there makes the block the identity."""
        ends: list[nn.Module] = []
        for block in self.modules():
            if isinstance(block, BasicBlock):
                ends.append(block.conv2 if isinstance(block.bn2, nn.Identity) else block.bn2)
            if isinstance(block, Bottleneck):
                ends.append(block.conv3 if isinstance(block.bn3, nn.Identity) else block.bn3)
        return ends


def resnet18(*, shape: tuple[int, ...], classes: int, norm: str) -> nn.Module:
    """Basic blocks 2-2-2-2; 11.17 million parameters on CIFAR-10, 11.69 million on ImageNet."""
    return _ResNet(
        BasicBlock, [2, 2, 2, 2], channels=shape[0], classes=classes, norm=norm, small_stem=is_small(shape)
    )


def wide_resnet18(*, shape: tuple[int, ...], classes: int, norm: str) -> nn.Module:
    """The INSGD authors' network: basic blocks 2-2-2-2 of 64 to 512 channels, the small stem at every size.

    Layer by layer it is `resnet18` as it stands on small images; wide beside `resnet20`, with its 16 to 64 channels.
    """
    return _ResNet(BasicBlock, [2, 2, 2, 2], channels=shape[0], classes=classes, norm=norm, small_stem=True)


def resnet50(*, shape: tuple[int, ...], classes: int, norm: str) -> nn.Module:
    """Bottleneck blocks 3-4-6-3; 25.56 million parameters on ImageNet, 23.52 million on CIFAR-10."""
    return _ResNet(
        Bottleneck, [3, 4, 6, 3], channels=shape[0], classes=classes, norm=norm, small_stem=is_small(shape)
    )
