"""Residual networks for small images.

Source: He et al. 2016, arXiv 1512.03385, section 4.2 (CIFAR form, identity shortcuts, option A).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  torch's own convention

from robustness.tasks.models.layers import norm_layer

__all__ = ["ResNet20"]


class _Block(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters: every second pixel, new channels zero."""

    def __init__(self, fan_in: int, fan_out: int, stride: int, norm: str) -> None:
        super().__init__()
        bias = norm == "none"
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride=stride, padding=1, bias=bias)
        self.norm1 = norm_layer(norm, fan_out, images=True)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, padding=1, bias=bias)
        self.norm2 = norm_layer(norm, fan_out, images=True)
        self.stride, self.added = stride, fan_out - fan_in

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.stride > 1 or self.added:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))
        return F.relu(x + y)


class ResNet20(nn.Module):
    """Three stages of three blocks, 16, 32 and 64 channels; 0.27 million parameters on CIFAR-10."""

    def __init__(self, *, shape: tuple[int, ...], classes: int, norm: str) -> None:
        """Build for images of `shape` (channels, height, width)."""
        super().__init__()
        self.stem = nn.Conv2d(shape[0], 16, 3, padding=1, bias=norm == "none")
        self.norm = norm_layer(norm, 16, images=True)
        blocks, fan_in = [], 16
        for stage, fan_out in enumerate((16, 32, 64)):
            for i in range(3):
                blocks.append(_Block(fan_in, fan_out, 2 if stage and i == 0 else 1, norm))
                fan_in = fan_out
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(64, classes)

    def residual_ends(self) -> list[nn.Module]:
        """The last layer with weights of every residual branch: a zero there makes the block the identity."""
        blocks = [block for block in self.blocks if isinstance(block, _Block)]
        return [b.conv2 if isinstance(b.norm2, nn.Identity) else b.norm2 for b in blocks]

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W)."""
        x = self.blocks(F.relu(self.norm(self.stem(x))))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits
