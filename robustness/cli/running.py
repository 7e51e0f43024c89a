"""Commands of the run side: run, data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustness.cli.options import (
    DEFAULT_STORE,
    Checkpoints,
    DataRoot,
    ScaleName,
    StoreUrl,
    open_,
    writable,
    write_report_of,
)
from robustness.errors import SpecError

if TYPE_CHECKING:
    from robustness.spec import Space, StudySpec

__all__ = ["get_data", "run"]


def run(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A study file: TOML, YAML or JSON.")],
    store: StoreUrl = DEFAULT_STORE,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Override a field: search.seeds=3."),
    ] = None,
    scale: ScaleName = "full",
    data: DataRoot = None,
    pack: Annotated[
        str | None,
        typer.Option(help="The most trials trained as one model, instead of the study's; 1 packs nothing."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster; else RAY_ADDRESS, else this machine.")
    ] = None,
    max_failures: Annotated[
        int, typer.Option(min=0, help="How often a trial whose execution fails is tried again.")
    ] = 2,
    max_cells: Annotated[
        int | None, typer.Option(min=1, help="Refuse larger studies; 100,000 by default.")
    ] = None,
    checkpoints: Checkpoints = None,
    report: Annotated[Path | None, typer.Option(help="Write report.html here when done.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Run a study: every trial that the store does not have complete."""
    from robustness.catalog import data_root
    from robustness.checkpoint_files import keeping
    from robustness.spec import require_parts
    from robustness.sweep.cluster import check_address

    check_address(address)
    packing = [] if pack is None else [f"resources.pack={pack}"]
    root = data_root(data)
    study, space = checked(spec, [*(set_ or []), *packing], max_cells, scale, root)
    require_parts(study, space, root)
    kept = keeping(checkpoints)
    if report is not None:
        writable(report, "--report")
    with open_(store, create=True) as opened:
        from robustness.sweep.runner import run_study

        summary = run_study(
            opened,
            study,
            space,
            root=root,
            address=address,
            max_failures=max_failures,
            quiet=as_json,
            keeping=kept,
        )
        if report is not None:
            write_report_of(opened, study.name, report)
    if as_json:
        print(json.dumps(asdict(summary)))
    else:
        print(
            f"{summary.study}: {summary.complete:,} of {summary.trials:,} trials complete "
            f"({summary.reused:,} were), {summary.failed:,} failed"
        )
        if report is not None:
            print(f"report: {report.absolute()}")
    if summary.complete < summary.trials:
        raise typer.Exit(1)


def get_data(
    name: Annotated[str, typer.Argument(help="A data set: fashion-mnist, cifar10, cifar100.")],
    root: Annotated[Path | None, typer.Option("--root", help="Where to; ROBUSTNESS_DATA by default.")] = None,
) -> None:
    """Get a data set: the only command that downloads anything."""
    from robustness.catalog import DATASETS, data_root
    from robustness.tasks.download import download

    try:
        entry = DATASETS.get(name)
    except ValueError as error:
        raise SpecError.of("data", str(error)) from None
    where = data_root(root)
    print(download(entry, where))


def checked(
    path: Path, assignments: Sequence[str], max_cells: int | None, scale: str, root: Path
) -> tuple[StudySpec, Space]:
    from robustness.spec import expand, override, parse, read_file, scaled

    plain = read_file(path)
    for assignment in assignments:
        plain = override(plain, assignment)
    study = scaled(parse(plain), scale, root)
    return study, expand(study, max_cells=max_cells)
