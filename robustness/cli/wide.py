"""Tables of rich of which nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["print_whole"]


def print_whole(table: Table) -> None:
    """Print a table with all of its columns, on a terminal folded where that helps; other programs get whole lines.

    Rich cuts columns, and then drops them, where the width does not do; a terminal wraps lines itself.
    """
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    needed = Measurement.get(console, console.options.update(width=WIDEST), table)
    console.width = max(console.width, needed.minimum) if console.is_terminal else needed.maximum
    console.print(table)


WIDEST = 1_000_000
