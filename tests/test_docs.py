"""What a user can say stands in the README or in the catalog's own listing."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import robustness
from robustness.catalog import DATASETS, MODELS, TRACKERS
from robustness.cli import app
from robustness.cli.serving import serve
from robustness.figures import FIGURES
from robustness.service import Access, Settings, Sites, Token, Tokens, create_app
from robustness.spec import expand, parse, read_text
from robustness.summary import METRICS
from robustness.summary.grid import OUTCOMES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    "command", [c.name or c.callback.__name__ for c in app.registered_commands if c.callback]
)
def test_every_command_stands_in_the_readme(command: str) -> None:
    assert re.search(rf"`(robustness )?{command}\b", README)


@pytest.mark.parametrize("name", [*DATASETS.names, *MODELS.names, *OUTCOMES])
def test_every_data_set_model_and_outcome_stands_in_the_readme(name: str) -> None:
    assert name in README


@pytest.mark.parametrize("name", TRACKERS.names)
def test_every_tracker_stands_in_the_readme_with_its_extra(name: str) -> None:
    assert f"| `{name}` | `pip install 'robustness-study[{name}]'` |" in README
    assert f"\n{name} = [" in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_stands_in_the_readme_with_its_meaning(metric: str) -> None:
    info = METRICS[metric]
    assert f"| `{metric}` | {info.doc} | {info.unit or 'score'} |" in README


def test_every_figure_stands_in_the_readme() -> None:
    for name in FIGURES:
        assert f"`{name}`" in README


def test_every_environment_variable_stands_in_the_readme() -> None:
    source = "".join(path.read_text() for path in (ROOT / "robustness").rglob("*.py"))
    for name in set(re.findall(r"\bROBUSTNESS_[A-Z_]+\b", source)):
        assert name in README


def test_every_route_stands_in_the_readme() -> None:
    access = Access(tokens=Tokens([Token("t" * 32)]), sites=Sites.of("127.0.0.1", 80, tls=False))
    app = create_app(None, access, Settings(data=ROOT))  # type: ignore[arg-type]  # only described
    for path, methods in app.openapi()["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path.removeprefix('/api/v1')}`" in README


def test_every_option_of_the_service_stands_in_the_readme() -> None:
    for parameter in inspect.signature(serve).parameters:
        option = {"with_worker": "--no-worker"}.get(parameter, f"--{parameter.replace('_', '-')}")
        assert option in README


def test_the_study_in_the_readme_is_valid() -> None:
    [text] = re.findall(r"```toml\n(.*?)```", README, re.S)
    assert expand(parse(read_text(text, "toml"))).trial_count == 2 * (9 + 3) * 2 * 5


def test_the_readme_opens_with_the_two_commands() -> None:
    assert re.search(r"\A# .*\n\n```sh\nmake demo .*\nmake test .*\n```", README)


def test_the_public_names_are_exactly_those_declared() -> None:
    assert robustness.__all__ == ["INSGD", "__version__"]
    assert robustness.INSGD.__name__ == "INSGD"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = robustness.nothing
    assert f'version = "{robustness.__version__}"' in (ROOT / "pyproject.toml").read_text()
