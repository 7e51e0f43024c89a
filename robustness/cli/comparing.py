"""The command `compare`. Torch-free."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robustness.cli.measuring import DeltaText, SeedFilter, ThresholdChanges, loaded
from robustness.cli.options import DEFAULT_STORE, StoreUrl, StudyName
from robustness.errors import SpecError

if TYPE_CHECKING:
    from robustness.summary import Study

__all__ = ["compare"]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def compare(
    study: StudyName,
    a: Annotated[str | None, typer.Argument(metavar="A", help="An optimizer's label.")] = None,
    b: Annotated[str | None, typer.Argument(metavar="B", help="What it is compared with.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="May be repeated or a,b; the claim's by default.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="This task only.")] = None,
    init: Annotated[str | None, typer.Option(help="This initialization only; else all, pooled.")] = None,
    each_init: Annotated[bool, typer.Option("--each-init", help="Each initialization by itself.")] = False,
    lr: Annotated[float | None, typer.Option(help="A rate in one cell: this learning rate for both.")] = None,
    delta: DeltaText = "5%",
    store: StoreUrl = DEFAULT_STORE,
    seed_filter: SeedFilter = None,
    threshold: ThresholdChanges = None,
    as_json: AsJson = False,
) -> None:
    """Say whether one optimizer differs from another, and how many seeds it would take to tell."""
    from robustness.summary import Delta
    from robustness.summary.comparison.comparing import compare_all, compare_cell
    from robustness.summary.comparison.result import corrected
    from robustness.wording.comparisons import sentence

    width = Delta.parse(delta)
    if lr is not None and not 0 < lr < math.inf:
        raise SpecError.of("--lr", f"must be a learning rate > 0, got {lr:g}")
    for option, given, other in (
        ("--each-init", each_init and init is not None, "--init"),
        ("--each-init", each_init and lr is not None, "--lr"),
        ("--delta", delta != "5%" and lr is not None, "--lr"),
    ):
        if given:
            raise SpecError.of(option, f"does not go with {other}")
    names = [name for text in metric or [] for name in text.split(",")]
    found = loaded(store, study, seed_filter, threshold)
    a, b, names = _asked(found, a, b, names)
    if lr is None:
        rows = compare_all(found, a, b, names, delta=width, task=task, init=init, each_init=each_init)
    else:
        cells = [compare_cell(found, a, b, name, lr=lr, init=init, task=task) for name in names]
        rows = corrected([row for part in cells for row in part])
    # Only the claim itself was named: a part of it, another rule or other seeds were not.
    changed = (task, init, lr, seed_filter, threshold or None, each_init or None)
    whole = all(option is None for option in changed) and delta == "5%"
    claimed = whole and _is_claim(found, a, b, names)
    standing = (
        "this was the study's claim, named in its spec" if claimed else "exploratory: not named beforehand"
    )
    if as_json:
        answers = [row.as_json() | {"sentence": sentence(row)} for row in rows]
        head = {"study": found.name, "a": a, "b": b, "claim": claimed, "delta": str(width)}
        print(json.dumps(head | {"comparisons": answers}, indent=1, ensure_ascii=False))
        return
    print(f"{found.name}: {standing}", end="\n\n")
    print("\n\n".join(sentence(row) for row in rows))


def _asked(study: Study, a: str | None, b: str | None, metrics: list[str]) -> tuple[str, str, list[str]]:
    claim: dict[str, Any] = study.spec.get("claim") or {}
    if a is None and not claim:
        raise SpecError.of("A", "is required, as is B, since the study names no claim")
    if a is not None and b is None:
        raise SpecError.of("B", "is required beside A")
    if not metrics and not claim:
        from robustness.spec import COMPARABLE

        raise SpecError.of(
            "--metric", f"is required, since the study names no claim: {', '.join(COMPARABLE)}"
        )
    return a or claim["a"], b or claim["b"], metrics or [claim["metric"]]


def _is_claim(study: Study, a: str, b: str, metrics: list[str]) -> bool:
    claim: dict[str, Any] = study.spec.get("claim") or {}
    return bool(claim) and {a, b} == {claim["a"], claim["b"]} and metrics == [claim["metric"]]
