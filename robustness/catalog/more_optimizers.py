"""Optimizers of the package pytorch-optimizer by `pytorch-optimizer:NAME`, from a table of its signatures.

The table is a file, so that specs are checked without importing torch; `robustness.optimizers.signatures` makes it anew from the
installed package, and a test compares the two. It holds what can be built on parameters alone and steps without a closure.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from robustness.catalog.registry import Argument

__all__ = ["FILE", "PREFIX", "arguments_of", "signatures"]

PREFIX = "pytorch-optimizer:"
FILE = "pytorch_optimizer.json"


def signatures() -> dict[str, dict[str, Any]]:
    """For each name its class, learning rate, and arguments with their defaults."""
    table: dict[str, dict[str, Any]] = json.loads(files("robustness.catalog").joinpath(FILE).read_text())
    return table


def arguments_of(defaults: dict[str, Any]) -> tuple[Argument, ...]:
    """Arguments by the type of their default; pytorch-optimizer itself knows their bounds."""
    return tuple(_argument(name, value) for name, value in defaults.items())


def _argument(name: str, default: Any) -> Argument:
    doc = "see pytorch-optimizer"
    if isinstance(default, list):
        return Argument(name=name, kind="floats", default=tuple(default), length=len(default), doc=doc)
    kinds = {bool: "bool", int: "int", float: "float", str: "str"}
    return Argument(name=name, kind=kinds[type(default)], default=default, doc=doc)  # type: ignore[arg-type]
