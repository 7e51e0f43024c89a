"""Vision transformers.

Source: Dosovitskiy et al. 2021, arXiv 2010.11929; sizes, dropout and embeddings as in the INSGD authors' released code.
Attention is made of Linear layers, so that an optimizer can see every one's input.
"""

# B batch, C channels, H height, W width, P patch side, N patches, T tokens (N + 1), D width, A heads

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  torch's own convention

from robustness.tasks.models.layers import Dropout, norm_layer

__all__ = ["ViT"]


class _Attention(nn.Module):
    """Multi-head self-attention; no biases before it."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.into = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor) -> Tensor:  # noqa: N803
        # Each (B, A, T, D / A).
        query, key, value = self.into(x_BTD).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        found: Tensor = self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        return found


class _Block(nn.Module):
    """Attention, then an MLP with GELU, each on the normalized tokens and added to them."""

    def __init__(self, width: int, heads: int, mlp_width: int, norm: str, dropout: float) -> None:
        super().__init__()
        self.norm1 = norm_layer(norm, width, images=False)
        self.attention = _Attention(width, heads, dropout)
        self.norm2 = norm_layer(norm, width, images=False)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_width),
            nn.GELU(),
            Dropout(dropout),
            nn.Linear(mlp_width, width),
            Dropout(dropout),
        )

    def forward(self, x_BTD: Tensor) -> Tensor:  # noqa: N803
        x_BTD = x_BTD + self.attention(self.norm1(x_BTD))  # noqa: N806
        found: Tensor = x_BTD + self.mlp(self.norm2(x_BTD))
        return found


class ViT(nn.Module):
    """A linear projection of patches, a class token, learned positions, `depth` blocks, a linear head.

    9.52 million parameters on CIFAR-10 with the defaults.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        classes: int,
        norm: str,
        patch: int,
        depth: int,
        heads: int,
        width: int,
        mlp_width: int,
        dropout: float,
    ) -> None:
        """Build for images of `shape` (channels, height, width); `patch` must divide both sides."""
        super().__init__()
        channels, height, wide = shape
        self.patch = patch
        self.embed = nn.Linear(channels * patch**2, width)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, height * wide // patch**2 + 1, width))
        self.dropout = Dropout(dropout)
        self.blocks = nn.Sequential(*(_Block(width, heads, mlp_width, norm, dropout) for _ in range(depth)))
        self.norm = norm_layer(norm, width, images=False)
        self.head = nn.Linear(width, classes)

    @torch.no_grad()
    def draw_embeddings(self, generator_of: Callable[[str], torch.Generator]) -> None:
        """Standard normal class token and positions: no initialization of layers acts on them."""
        for name in ("token", "positions"):
            parameter = getattr(self, name)
            parameter.copy_(torch.randn(parameter.shape, generator=generator_of(name)))

    def residual_ends(self) -> list[nn.Module]:
        """The last layer of every residual branch: a zero there makes the branch add nothing."""
        ends: list[nn.Module] = []
        for block in self.blocks:
            assert isinstance(block, _Block)
            ends += [block.attention.out, block.mlp[3]]
        return ends

    def forward(self, x_BCHW: Tensor) -> Tensor:  # noqa: N803
        """Logits (B, classes) of images (B, C, H, W)."""
        rows = x_BCHW.unflatten(3, (-1, self.patch)).unflatten(2, (-1, self.patch))
        patches = rows.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)  # (B, N, P P C)
        tokens = torch.cat([self.token.expand(len(patches), -1, -1), self.embed(patches)], dim=1)
        tokens = self.blocks(self.dropout(tokens + self.positions))
        logits: Tensor = self.head(self.norm(tokens[:, 0]))
        return logits
