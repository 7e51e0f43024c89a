"""Which fields go with which sampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from robustness.errors import Problem
from robustness.spec.axes import Axis
from robustness.spec.models import LrRange, Sampler, Search, StudySpec

__all__ = ["DRAWING", "EDGE_CHECK", "EDGE_RESOLUTION", "lr_problems", "settings"]

DRAWING: tuple[Sampler, ...] = ("qmc", "random", "tpe")
"""Samplers that draw from ranges."""
EDGE_RESOLUTION = 0.05
"""Decades; edge's default."""
EDGE_CHECK = 16
"""Places tried once a row's first edge is known, at most; edge's default."""
_TAKES: dict[Sampler, dict[str, float | None]] = {
    "grid": {"confirm": 0},
    "qmc": {"budget": None},
    "random": {"budget": None},
    "tpe": {"budget": None},
    "edge": {"resolution": EDGE_RESOLUTION, "check": EDGE_CHECK},
    "refine": {"budget": None, "confirm": 0},
}
"""The fields of each with their defaults; None: required."""


def settings(search: Search, problems: list[Problem]) -> dict[str, Any]:
    """The fields of the study's sampler, defaults filled in; what does not go with it is added to `problems`."""
    takes = _TAKES[search.sampler]
    found: dict[str, Any] = {}
    for name in ("budget", "resolution", "check", "confirm"):
        given = getattr(search, name)
        if name not in takes and given is not None:
            owners = ", ".join(sampler for sampler, fields in _TAKES.items() if name in fields)
            problems.append(
                Problem(f"search.{name}", f"goes with sampler = {owners}, got sampler = {search.sampler}")
            )
        elif name in takes and given is None and takes[name] is None:
            problems.append(Problem(f"search.{name}", f"is required with sampler = {search.sampler}"))
        elif name in takes:
            found[name] = takes[name] if given is None else given
    return found


def lr_problems(spec: StudySpec, lrs: Sequence[Any], drawn: Sequence[Axis]) -> list[Problem]:
    """What of the learning rates, and of other ranges, does not go with the sampler.

    Args:
        spec: the study.
        lrs: of each optimizer.
        drawn: ranges without points of all other fields.
    """
    sampler, found = spec.search.sampler, []
    for i, (table, lr) in enumerate(zip(spec.optimizers, lrs, strict=True)):
        path = f"optimizers[{i}].lr" if "lr" in table else "search.lr"
        is_open = isinstance(lr, LrRange) and lr.points is None
        if sampler in (*DRAWING, "edge") and lr is not None and not is_open:
            # Drawn settings are told from one another by their learning rates.
            found.append(
                Problem(path, f"must be a range {{ low, high }} without points with sampler = {sampler}")
            )
        elif sampler in ("grid", "refine") and is_open:
            found.append(Problem(f"{path}.points", f"is required with sampler = {sampler}"))
    if sampler not in DRAWING:
        found += [
            Problem(f"{axis.name}.points", f"is required with sampler = {sampler}, which does not draw it")
            for axis in drawn
        ]
    return found
