"""Wide residual networks for small images.

Source: Zagoruyko, Komodakis 2016, arXiv 1605.07146: normalization and ReLU before each convolution, 1x1 shortcuts.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  torch's own convention

from robustness.tasks.models.layers import norm_layer

__all__ = ["WideResNet20"]


class _Block(nn.Module):
    """Norm - ReLU - convolution, twice; the shortcut is a 1x1 convolution where the shape changes."""

    def __init__(self, fan_in: int, fan_out: int, stride: int, norm: str) -> None:
        super().__init__()
        self.norm1 = norm_layer(norm, fan_in, images=True)
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride=stride, padding=1, bias=False)
        self.norm2 = norm_layer(norm, fan_out, images=True)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, padding=1, bias=False)
        self.shortcut = None
        if fan_in != fan_out:
            self.shortcut = nn.Conv2d(fan_in, fan_out, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.norm1(x))
        y: Tensor = self.conv2(F.relu(self.norm2(self.conv1(active))))
        return y + (x if self.shortcut is None else self.shortcut(active))


class WideResNet20(nn.Module):
    """Three stages of three blocks, `widen` times 16, 32 and 64 channels.

    Twenty layers as `resnet20` counts them (18 convolutions of blocks, the stem, the head); counted with the
    shortcuts, as its authors do, it is their WRN-22-k: 17.2 million parameters at k = 8.
    """

    def __init__(self, *, shape: tuple[int, ...], classes: int, norm: str, widen: int) -> None:
        """Build for images of `shape` (channels, height, width)."""
        super().__init__()
        self.stem = nn.Conv2d(shape[0], 16, 3, padding=1, bias=False)
        blocks, fan_in = [], 16
        for stage, fan_out in enumerate((16 * widen, 32 * widen, 64 * widen)):
            for i in range(3):
                blocks.append(_Block(fan_in, fan_out, 2 if stage and i == 0 else 1, norm))
                fan_in = fan_out
        self.blocks = nn.Sequential(*blocks)
        self.norm = norm_layer(norm, fan_in, images=True)
        self.head = nn.Linear(fan_in, classes)

    def residual_ends(self) -> list[nn.Module]:
        """The last layer with weights of every residual branch: a zero there leaves its shortcut."""
        return [block.conv2 for block in self.blocks if isinstance(block, _Block)]

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W)."""
        x = F.relu(self.norm(self.blocks(self.stem(x))))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits
