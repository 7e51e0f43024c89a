"""The command line. Heavy imports stay inside commands: `--help` must answer at once."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from robustness import __version__
from robustness.bench.commands import bench
from robustness.cli.auditing import audit
from robustness.cli.comparing import compare
from robustness.cli.drawing import figures
from robustness.cli.exporting import export
from robustness.cli.importing import import_
from robustness.cli.measuring import metrics
from robustness.cli.planning import plan
from robustness.cli.reading import list_studies, report, show
from robustness.cli.running import get_data, run
from robustness.cli.serving import serve, token, worker
from robustness.cli.specs import catalog, schema
from robustness.cli.tables import table
from robustness.errors import RobustnessError

__all__ = ["app", "main"]

app = typer.Typer(
    name="robustness",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"robustness {__version__}")
        raise typer.Exit


@app.callback()
def _all(
    version: Annotated[  # noqa: ARG001  its callback does it
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Hyperparameter-robustness studies of deep-learning optimizers."""


# In the order in which `--help` shows them.
app.command()(plan)
app.command()(run)
app.command("list")(list_studies)
for command in (show, metrics, compare, audit, table, report, figures, export):
    app.command()(command)
app.command("import")(import_)
app.command()(schema)
app.command()(catalog)
app.command("data")(get_data)
app.command()(serve)
app.command()(worker)
app.command()(token)
app.add_typer(bench, name="bench")


def main() -> None:
    """Run the command line; a user's mistake is a message, never a traceback."""
    try:
        app()
    except RobustnessError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
