"""What surrounds the code agrees with it: version, licence, and the checks before a commit."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from robustness import __version__
from robustness.cli import app

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CITATION: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_the_version_is_the_same_wherever_it_stands() -> None:
    version = PYPROJECT["project"]["version"]
    assert __version__ == version
    assert CITATION["version"] == version
    printed = CliRunner().invoke(app, ["--version"])
    assert printed.stdout.split() == ["robustness", version]


def test_the_licence_is_the_same_wherever_it_stands_and_is_installed() -> None:
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0" in licence
    assert PYPROJECT["project"]["license"] == CITATION["license"] == "Apache-2.0"
    installed = metadata.distribution("robustness-study")
    assert installed.metadata["License-Expression"] == "Apache-2.0"
    assert installed.metadata.get_all("License-File") == ["LICENSE"]


def test_the_citation_names_the_paper_of_insgd() -> None:
    assert CITATION["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= CITATION.keys()
    [paper] = CITATION["references"]
    assert paper["title"].startswith("Input Normalized Stochastic Gradient Descent")
    assert paper["identifiers"][0]["value"] == "arXiv:2212.09921"


def test_what_runs_before_a_commit_is_what_ci_lints_with() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    [local] = config["repos"]
    assert local["repo"] == "local"
    recipe = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    linted = [line.split("$(BIN)/")[1] for line in recipe.splitlines()[1:]]
    hooks = [hook["entry"].removeprefix(".venv/bin/") for hook in local["hooks"]]
    # A hook is given the changed files, `make lint` all of them.
    assert hooks == [line.removesuffix(" .") for line in linted]
