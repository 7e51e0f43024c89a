"""Normalized least mean squares, the filter that INSGD sets out from."""

from __future__ import annotations

from torch import nn

from robustness.optimizers.insgd import INSGD

__all__ = ["NLMS"]


class NLMS(INSGD):
    """Normalized least mean squares: INSGD without the logarithm, the gradient divided by eps + P.

    Source: Nagumo, Noda 1967; the form in which INSGD's authors set out from it.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 0.1,
        *,
        norm: str = "l2",
        momentum: float = 0.9,
        beta: float = 0.9,
        eps: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        """INSGD with `damping = "none"`."""
        super().__init__(model, lr, momentum, weight_decay, norm, beta, damping="none", eps=eps)
