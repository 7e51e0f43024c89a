"""The precision of a task's passes: float32 throughout, or autocast to a type of 16 bits."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch.amp import GradScaler

from robustness.errors import SpecError

__all__ = ["exact_convolutions", "gradient_scaler", "passes_in"]

_SHORT = {"bf16": torch.bfloat16, "fp16": torch.float16}


def exact_convolutions() -> None:
    """Let this process's convolutions take float32 as it is, as its matrix products do.

    cuDNN's default is TF32, with 10 bits of mantissa: tasks with convolutions would differ in precision from the others.
    """
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]


def passes_in(precision: str, device: str) -> AbstractContextManager[object]:
    """The context of a forward pass and its loss; parameters, gradients and optimizers stay float32."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=_SHORT[precision])


def gradient_scaler(precision: str, device: str) -> GradScaler:
    """What keeps fp16's small gradients from vanishing, and skips steps whose gradients overflow; else does nothing.

    Raises:
        SpecError: fp16 on anything but CUDA.
    """
    kind = torch.device(device).type
    if precision == "fp16" and kind != "cuda":
        raise SpecError.of("precision", f"fp16 needs a CUDA device, this trial runs on {kind}; use bf16")
    return GradScaler(kind, enabled=precision == "fp16")
