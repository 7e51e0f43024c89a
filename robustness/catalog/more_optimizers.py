"""Optimizers of the package pytorch-optimizer by `pytorch-optimizer:NAME`, from a table of its signatures.

The table is a file, so that specs are checked without importing torch; `write_signatures` makes it anew from the
installed package, and a test compares the two. It holds what can be built on parameters alone and steps without a closure.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from robustness.catalog.registry import Argument

__all__ = ["PREFIX", "arguments_of", "signatures"]

PREFIX = "pytorch-optimizer:"
_FILE = "pytorch_optimizer.json"
# How it is executed, not what it computes.
_EXECUTION = {
    "lr",
    "foreach",
    "fused",
    "maximize",
    "capturable",
    "differentiable",
    "self",
    "params",
    "kwargs",
}


def signatures() -> dict[str, dict[str, Any]]:
    """For each name its class, learning rate, and arguments with their defaults."""
    table: dict[str, dict[str, Any]] = json.loads(files("robustness.catalog").joinpath(_FILE).read_text())
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


def read_signatures() -> dict[str, dict[str, Any]]:
    """The table from the installed package: every optimizer that takes two steps on a small network."""
    import contextlib
    import inspect
    import io
    import warnings

    import pytorch_optimizer
    import torch

    found: dict[str, dict[str, Any]] = {}
    for name in sorted(pytorch_optimizer.get_supported_optimizers()):
        kind: Any = pytorch_optimizer.load_optimizer(name)
        parameters = inspect.signature(kind.__init__).parameters
        if "lr" not in parameters or not isinstance(parameters["lr"].default, float):
            continue
        defaults = {
            n: list(p.default) if isinstance(p.default, tuple) else p.default
            for n, p in parameters.items()
            if n not in _EXECUTION and _is_plain(p.default)
        }
        net = torch.nn.Linear(4, 3)
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                own: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in defaults.items()}
                optimizer = kind(net.parameters(), lr=parameters["lr"].default, **own)
                for _ in range(2):
                    optimizer.zero_grad()
                    net(torch.ones(2, 4)).square().sum().backward()
                    optimizer.step()
            except Exception:  # noqa: BLE001  it needs more than parameters and a step
                continue
        target = f"{kind.__module__}:{kind.__name__}"
        found[name] = {"lr": parameters["lr"].default, "arguments": defaults, "target": target}
    return found


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value)
    return type(value) in (bool, int, float, str)


def write_signatures() -> None:
    """Write the table anew, after pytorch-optimizer was upgraded."""
    from pathlib import Path

    text = json.dumps(read_signatures(), indent=1, sort_keys=True)
    Path(__file__).with_name(_FILE).write_text(text + "\n")
