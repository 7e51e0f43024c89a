"""The command `table`. Torch-free."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from robustness.cli.measuring import DeltaText, OptimizerFilter, SeedFilter, ThresholdChanges, loaded
from robustness.cli.options import DEFAULT_STORE, StoreUrl, StudyName
from robustness.errors import SpecError

if TYPE_CHECKING:
    from robustness.summary import Delta, Study
    from robustness.tables import Measurement, TableLayout
    from robustness.tables.ranking import Test

__all__ = ["table"]


class TableFormat(StrEnum):
    """Formats of `robustness table`."""

    LATEX = "latex"
    MARKDOWN = "markdown"
    CSV = "csv"
    HTML = "html"


class TableSpread(StrEnum):
    """What follows a score."""

    SD = "sd"
    INTERVAL = "interval"


def table(
    study: StudyName,
    store: StoreUrl = DEFAULT_STORE,
    format_: Annotated[
        TableFormat, typer.Option("--format", help="csv has a row for each cell.")
    ] = TableFormat.MARKDOWN,
    rows: Annotated[
        str | None,
        typer.Option(help="What names a row: task, optimizer, init, or several.", metavar="AXES"),
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="What names a column; what is in neither is pooled.", metavar="AXES")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="One metric's id; may be repeated or a,b.", metavar="ID")
    ] = None,
    spread: Annotated[
        TableSpread | None,
        typer.Option(help="After a score: its standard deviation, by default, or its 95 % interval."),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(help="Published figures to set beside: a CSV file, or insgd.", metavar="FILE"),
    ] = None,
    delta: DeltaText = "5%",
    optimizer: OptimizerFilter = None,
    seed_filter: SeedFilter = None,
    threshold: ThresholdChanges = None,
) -> None:
    """Print a study's table: the tuned one, or any metrics in rows and columns of your choice."""
    from robustness.summary import Delta
    from robustness.summary.chosen import not_meant, sampler_of
    from robustness.summary.measure import resampled
    from robustness.summary.rows import check_metrics
    from robustness.tables.axes import parse_axes
    from robustness.tables.measured import tuned_scores
    from robustness.tables.published import beside, read_published

    names = [name.strip() for text in metric or [] for name in text.split(",")]
    check_metrics(names)
    width = Delta.parse(delta)
    figures = None if compare is None else read_published(compare)
    chosen = [option for option in (rows, columns, compare, metric) if option is not None]
    for option, given in (("--spread", spread is not None), ("--delta", delta != "5%")):
        if given and not chosen:
            raise SpecError.of(option, "goes with --rows, --columns, --metric or --compare")
    by_default = ("task,optimizer", "") if compare is not None and not names else ("optimizer", "task")
    axes = parse_axes(*by_default) if rows is columns is None else parse_axes(rows or "", columns or "")
    found = loaded(store, study, seed_filter, threshold, optimizer)
    if not chosen:
        print(_standard(found, format_), end="")
        return
    sampler = sampler_of(found.spec)
    main = "critical_lr" if sampler == "edge" else "score"
    names = list(dict.fromkeys([*([] if names and figures is None else [main]), *names]))
    samples = resampled(found, draws=0)
    refused = not_meant("score", sampler) != ""
    scores = tuned_scores(samples) if "score" in names and not refused else []
    intervals = refused or spread is TableSpread.INTERVAL  # a refused score is a row that says why
    measured = _measured(found, names, scores, width, intervals=intervals)
    notes: list[str] = []
    if figures is not None:
        others, notes = beside(found, scores, figures, compare or "")
        ours = [m for m in measured if m.metric == "score"]
        measured = [*ours, *others, *(m for m in measured if m.metric != "score")]
    if format_ is TableFormat.CSV:
        from robustness.tables import write_measured_csv

        print(write_measured_csv(measured), end="")
        for note in notes:
            print(f"note: {note}", file=sys.stderr)
        return
    from robustness.summary.warnings import study_warnings
    from robustness.tables import pivot_table

    layout = pivot_table(
        found,
        measured,
        rows=axes[0],
        columns=axes[1],
        spread=(spread or TableSpread.SD).value,
        delta=str(width),
        notes=notes,
        warnings=study_warnings(found, samples, width),
        test=_test(found, width),
    )
    print(_written(layout, format_), end="")


def _measured(
    study: Study, names: list[str], scores: list[Measurement], delta: Delta, *, intervals: bool
) -> list[Measurement]:
    """Metrics in the order asked for; scores without intervals need no resampling, which is fast."""
    from robustness.summary import measure
    from robustness.tables.measured import measurements

    resampled = [name for name in names if name != "score" or intervals]
    found = [] if intervals else list(scores)
    if resampled:
        found += measurements(measure(study, metrics=resampled, delta=delta), scores)
    return sorted(found, key=lambda m: names.index(m.metric))


def _test(study: Study, delta: Delta) -> Test:
    """The paired tests of `robustness compare`."""
    from robustness.spec import COMPARABLE
    from robustness.summary.comparison.comparing import compare_samples
    from robustness.summary.comparison.paired import holm
    from robustness.summary.measure import resampled
    from robustness.tables.significance import Compared, paired_test

    samples = resampled(study)
    inits = [str(name) for name in study.trials["init"].unique()]

    def compared(best: str, other: str, metrics: list[str], each_init: bool) -> list[Compared]:
        return [
            found
            for metric in metrics
            for task in study.tasks
            for found in compare_samples(
                samples,
                best,
                other,
                metric,
                study=study,
                task=task,
                inits=inits if each_init else [None],
                delta=delta,
            )
        ]

    return paired_test(compared, holm, COMPARABLE)


def _standard(study: Study, format_: TableFormat) -> str:
    from robustness import tables

    if format_ is TableFormat.CSV:
        from robustness.summary import cell_table

        return tables.write_csv(cell_table(study.trials, study.complete))
    return _written(tables.standard_table(study), format_)


def _written(layout: TableLayout, format_: TableFormat) -> str:
    from robustness import tables

    writers = {
        TableFormat.LATEX: tables.write_latex,
        TableFormat.MARKDOWN: tables.write_markdown,
        TableFormat.HTML: tables.write_html,
    }
    return writers[format_](layout)
