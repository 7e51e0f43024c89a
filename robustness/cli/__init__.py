"""The command line. Heavy imports stay inside commands: `--help` must answer at once."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
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


PIPE = 141
"""The exit code of whoever writes into a closed pipe, as shells have it."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Where these name no file, it is stdout: all others are written by `errors.writing`."""


def main() -> None:
    """Run the command line; a user's mistake, a full disk or a closed pipe is no traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # labels hold any character, terminals not
    code: str | int | None = 0
    try:
        app()
    except SystemExit as end:
        # Typer and rich both end with 1 where nobody reads on, and 1 is for trials that failed.
        code = PIPE if isinstance(end.__context__, BrokenPipeError) else end.code
    except RobustnessError as error:
        code = error.exit_code
        _say(str(error))
    except KeyboardInterrupt:
        code = 130
    except OSError as error:
        if error.filename is None and error.errno not in FULL:
            raise
        code = 1
        _say(f"{error.filename or 'stdout cannot be written'}: {error.strerror}")
    raise SystemExit(_flushed() or code)


def _flushed() -> int:
    """Write what is left for stdout: 0, or the exit code where that cannot be done."""
    if sys.stdout is None:  # closed by whoever started us
        return 0
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python flushes once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return PIPE
        _say(f"stdout cannot be written: {error.strerror}")
        return 1
    return 0


def _say(text: str) -> None:
    with suppress(OSError):
        print(f"error: {text}", file=sys.stderr)
