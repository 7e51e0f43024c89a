"""Commands for whoever writes a study: schema, catalog."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from robustness.errors import check_known

__all__ = ["catalog", "schema"]


def schema() -> None:
    """Print the JSON Schema of a study file."""
    from robustness.spec import json_schema

    print(json.dumps(json_schema(), indent=2))


def catalog(
    name: Annotated[str | None, typer.Argument(help="One entry, with its arguments.")] = None,
) -> None:
    """Show what a study can name: data sets, models, initializations, optimizers, trackers, with defaults."""
    from robustness import catalog as found

    registries = (found.OPTIMIZERS, found.DATASETS, found.MODELS, found.INITS, found.TRACKERS)
    names = [entry.name for registry in registries for entry in registry]
    if name is not None:
        check_known("catalog", name, names)
    for registry in registries:
        entries = [entry for entry in registry if name in (None, entry.name)]
        if entries:
            print(f"{registry.kind}s")
        for entry in entries:
            source = f" [{entry.source}]" if entry.source else ""
            print(f"  {entry.name}: {entry.summary}{source}")
            for argument in entry.arguments:
                default = list(argument.default) if isinstance(argument.default, tuple) else argument.default
                print(f"      {argument.name} = {json.dumps(default)}: {argument.doc} ({argument.rule})")
    if name is None:
        print("task fields")
        for argument in found.TASK_FIELDS:
            print(f"      {argument.name} = {json.dumps(argument.default)}: {argument.doc} ({argument.rule})")
