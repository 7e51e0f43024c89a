"""The toy network of the INSGD paper (Atici, Pan, Cetin, TMLR 2024)."""

from __future__ import annotations

from torch import Tensor, nn

from robustness.tasks.models.layers import Dropout, activation_layer, norm_layer

__all__ = ["ToyCNN"]


class ToyCNN(nn.Module):
    """Four 3x3 convolutions C-8-16-32-64, the last three with stride 2, and a linear head.

    The second has a 1x1 shortcut, added after its ReLU. A norm layer follows each convolution, ReLU
    the last three; dropout stands before the last ReLU. Convolutions have no biases.
    """

    def __init__(
        self, *, shape: tuple[int, ...], classes: int, norm: str, dropout: float, activation: str
    ) -> None:
        """Build for images of `shape` (channels, height, width)."""
        super().__init__()
        channels, height, width = shape

        def conv(fan_in: int, fan_out: int, *, size: int = 3, stride: int = 2) -> nn.Sequential:
            layer = nn.Conv2d(fan_in, fan_out, size, stride=stride, padding=size // 2, bias=False)
            return nn.Sequential(layer, norm_layer(norm, fan_out, images=True))

        self.stem = conv(channels, 8, stride=1)
        self.branch = conv(8, 16)
        self.shortcut = conv(8, 16, size=1)
        self.middle = conv(16, 32)
        self.last = conv(32, 64)
        self.dropout = Dropout(dropout)
        self.activation = activation_layer(activation)
        side = [-(-size // 8) for size in (height, width)]  # halved three times, rounded up
        self.head = nn.Linear(64 * side[0] * side[1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W)."""
        x = self.stem(x)
        x = self.activation(self.branch(x)) + self.shortcut(x)
        x = self.activation(self.middle(x))
        x = self.activation(self.dropout(self.last(x)))
        logits: Tensor = self.head(x.flatten(1))
        return logits
