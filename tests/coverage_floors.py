"""Hold measured coverage to the floors of pyproject.toml, `[tool.robustness.coverage-floors]`.

`python -m tests.coverage_floors` reads `.coverage`, which `make test` leaves under CI=true.
"""

from __future__ import annotations

import io
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import coverage

__all__ = ["below_floors", "floors_of"]


def floors_of(pyproject: Path) -> dict[str, float]:
    """The least coverage of each pattern of files, in percent of lines and branches."""
    floors: dict[str, float] = tomllib.loads(pyproject.read_text())["tool"]["robustness"]["coverage-floors"]
    return floors


def below_floors(measured: coverage.Coverage, floors: Mapping[str, float]) -> list[str]:
    """A sentence for each pattern whose files are covered less than its floor.

    Raises:
        coverage.exceptions.NoDataError: a pattern fits no measured file.
    """
    sentences = []
    for pattern, floor in floors.items():
        percent = measured.report(include=pattern, file=io.StringIO())
        if percent < floor:
            sentences.append(
                f"{pattern}: {percent:.1f} % of lines and branches are tested, less than {floor:g} %"
            )
    return sentences


def main() -> int:
    """Say what is below its floor; the exit status."""
    measured = coverage.Coverage()
    measured.load()
    sentences = below_floors(measured, floors_of(Path("pyproject.toml")))
    print("\n".join(sentences) or "Coverage is at or above each floor.")
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main())
