"""The lines of each sampler."""

from __future__ import annotations

from collections.abc import Iterator

from robustness.spec import Space
from robustness.sweep.samplers.asking import Line

__all__ = ["lines_of"]


def lines_of(space: Space) -> Iterator[Line]:
    """The lines of a study's sampler; Optuna is imported where it is one of its own."""
    if space.sampler == "grid":
        from robustness.sweep.samplers.designs import grid as chosen
    elif space.sampler in ("qmc", "random"):
        from robustness.sweep.samplers.designs import drawn as chosen
    elif space.sampler == "tpe":
        from robustness.sweep.samplers.tpe import lines as chosen
    elif space.sampler == "edge":
        from robustness.sweep.samplers.edge import lines as chosen
    else:
        from robustness.sweep.samplers.refine import lines as chosen
    return chosen(space)
