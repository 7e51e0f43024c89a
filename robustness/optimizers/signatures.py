"""Makes the catalog's table of pytorch-optimizer from the installed package; see `catalog.more_optimizers`."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import warnings
from pathlib import Path
from typing import Any

import torch

from robustness import catalog
from robustness.catalog.more_optimizers import FILE

__all__ = ["read_signatures", "write_signatures"]

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


def read_signatures() -> dict[str, dict[str, Any]]:
    """The table from the installed package: every optimizer that takes two steps on a small network."""
    import pytorch_optimizer

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
        # Shampoo's roots do not converge from every start: which are in the table must not hang on the caller's draws.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
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
    text = json.dumps(read_signatures(), indent=1, sort_keys=True)
    Path(catalog.__file__).with_name(FILE).write_text(text + "\n")
