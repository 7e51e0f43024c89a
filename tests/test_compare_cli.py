"""`robustness compare` and `robustness plan` on a store that is filled without training."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from robustness.store import open_store
from tests.builders import dead_epoch, epoch, record, save, spec, trials
from tests.test_cli import call, spec_file

LRS = [0.001, 0.01, 0.1, 1.0]
CLAIM = {"metric": "divergence_rate", "a": "adam", "b": "sgd"}
SPEC: dict[str, Any] = {
    "optimizers": [{"name": "sgd"}, {"name": "adam"}],
    "search": {"lr": LRS, "init": ["default", "orthogonal"], "seeds": 7},
    "claim": CLAIM,
}


def _fill(url: str, **changes: Any) -> str:
    """Adam diverges from 0.1, with its seventh seed as SGD at 1."""
    plain = {**SPEC, **changes}
    with open_store(url, create=True) as store:
        held = store.acquire(save(store, **plain))
        for trial in trials(**plain):
            early = trial.cell.optimizer.name == "adam" and trial.seed_index != 6
            edge = 0.05 if early else 0.5
            if trial.cell.lr > edge:
                store.finish(held, [record(trial, dead_epoch(1), step=3)])
            else:
                good = 0.9 + 0.001 * trial.seed_index
                store.finish(held, [record(trial, epoch(1), epoch(2, test_accuracy=good))])
        store.release(held)
    return url


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return _fill(f"sqlite:///{tmp_path_factory.mktemp('compare') / 'filled.db'}")


def test_without_optimizers_the_studys_claim_is_answered(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("compare", "small", "--store", url) == 0
    out = capsys.readouterr().out
    assert "this was the study's claim" in out
    assert "On digits mlp, no difference between adam and sgd could be shown by divergence_rate." in out
    assert "so this grid cannot resolve it" in out  # its steps are a decade
    assert "resampled over 7 whole seeds" in out
    assert "At the same nominal learning rates the difference is " in out


def test_an_initialization_is_told_from_the_optimizers(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("compare", "small", "--init", "default", "--store", url) == 0
    assert (
        "On digits mlp with the initialization default, no difference between adam" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("arguments", "standing"),
    [
        (["adam", "sgd", "--metric", "divergence_rate"], "this was the study's claim"),
        (["sgd", "adam"], "this was the study's claim"),
        (["adam", "sgd", "--metric", "score"], "exploratory"),
        (["--metric", "divergence_rate,score"], "exploratory"),
        (["--init", "default"], "exploratory"),
        (["--each-init"], "exploratory"),
        (["--delta", "0.02"], "exploratory"),
        (["--seed-filter", "0-5"], "exploratory"),
        (["--threshold", "skill_floor=0.05"], "exploratory"),
        (["--lr", "0.1", "--init", "default"], "exploratory"),
    ],
)
def test_only_the_claim_itself_was_named_beforehand(
    arguments: list[str], standing: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("compare", "small", *arguments, "--store", url) == 0
    assert standing in capsys.readouterr().out.splitlines()[0]


def test_a_single_cell_is_answered(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("compare", "small", "--lr", "0.1", "--init", "default", "--store", url) == 0
    out = capsys.readouterr().out
    assert "adam diverges more often than sgd." in out
    assert "85.7 % against 0.0 %" in out
    assert "exact McNemar test p = 0.031" in out


def test_json_is_one_object_without_nan(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("compare", "small", "--metric", "score", "--metric", "skill", "--json", "--store", url) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda text: pytest.fail(text))
    assert (found["a"], found["b"], found["claim"]) == ("adam", "sgd", False)
    assert [row["metric"] for row in found["comparisons"]] == ["score", "skill"]
    assert all(row["sentence"].startswith("On digits mlp, ") for row in found["comparisons"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["adm", "sgd"], "there is no 'adm'; did you mean 'adam'?"),
        (["adam", "adam"], "two different ones"),
        (["adam"], "B: is required"),
        (["--metric", "scor"], "did you mean 'score'?"),
        (["--task", "digit mlp"], "did you mean 'digits mlp'?"),
        (["--init", "defalt"], "did you mean 'default'?"),
        (["--lr", "0.2", "--init", "default"], "it has 0.001, 0.01, 0.1, 1"),
        (["--lr", "0.1"], "is needed beside --lr"),
        (["--lr", "-1"], "must be a learning rate > 0"),
        (["--lr", "0.1", "--metric", "score"], "a single cell has a rate"),
        (["--delta", "wide"], "--delta"),
    ],
)
def test_a_mistake_is_a_message_and_exit_2(
    arguments: list[str], words: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("compare", "small", *arguments, "--store", url) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""


def test_a_study_without_a_claim_asks_for_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = _fill(f"sqlite:///{tmp_path / 'plain.db'}", claim=None)
    for arguments, words in (([], "A: is required"), (["adam", "sgd"], "--metric: is required")):
        assert call("compare", "small", *arguments, "--store", url) == 2
        assert words in capsys.readouterr().err
    assert call("compare", "small", "adam", "sgd", "--metric", "score", "--store", url) == 0
    assert "exploratory" in capsys.readouterr().out


# -- plan ------------------------------------------------------------------------------------------


def test_a_plan_says_what_its_seeds_can_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = spec_file(tmp_path, **(SPEC | {"search": {"seeds": 5}}))
    assert call("plan", path) == 0
    out = capsys.readouterr().out
    assert "small: 4 cells, 20 trials, 5 seeds, 1 task" in out
    assert "adam against sgd, divergence_rate" in out
    assert "a difference within half a step of the grid is not told" in out
    assert "5 (this study)" in out
    assert list(tmp_path.iterdir()) == [path]


def test_a_plan_with_many_seeds_and_tasks_corrects_for_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = spec_file(tmp_path, **SPEC, task={"norm": ["none", "layer"]})
    assert call("plan", path, "--metric", "critical_lr", "--set", "search.seeds=30") == 0
    out = capsys.readouterr().out
    assert "Holm's correction over 2 tasks" in out
    assert "decades" in out
    assert call("plan", path, "--set", "search.seeds=8", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["tests"], found["cells"], found["seeds"], found["unit"]) == (2, 32, 8, "share")
    few, many = (row["detectable"][0] for row in found["plan"] if row["seeds"] in (8, 20))
    assert few > many > 0


def test_a_plan_takes_the_spread_of_a_pilot(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = spec_file(tmp_path, **SPEC)
    assert call("plan", path, "--pilot", "small", "--store", url) == 0
    assert "from 7 seeds they are themselves uncertain" in capsys.readouterr().out
    assert call("plan", path, "--pilot", "small", "--metric", "score", "--store", url, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["spreads"][0]["source"] == "assumed"  # every seed scores the same with both
    assert "shows no spread" in found["notes"][0]


@pytest.mark.parametrize(
    ("changes", "arguments", "words"),
    [
        ({"claim": None}, [], "--metric: is required"),
        ({"claim": None}, ["--metric", "score", "--pilot", "small"], "--pilot: needs --a and --b"),
        ({}, ["--metric", "scor"], "did you mean 'score'?"),
        ({}, ["--a", "adm"], "did you mean 'adam'?"),
        ({}, ["--pilot", "smal"], "did you mean 'small'"),
    ],
)
def test_a_plan_refuses_what_it_does_not_know(
    changes: dict[str, Any],
    arguments: list[str],
    words: str,
    url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("plan", spec_file(tmp_path, **(SPEC | changes)), *arguments, "--store", url) == 2
    assert words in capsys.readouterr().err


def test_a_plan_without_a_claim_needs_only_a_metric(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("plan", spec_file(tmp_path, **(SPEC | {"claim": None})), "--metric", "score") == 0
    assert "Planned for score," in capsys.readouterr().out


def test_neither_command_loads_torch_or_ray(url: str, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text(json.dumps(spec(**SPEC)))
    for arguments in (["compare", "small", "--store", url], ["plan", "study.json"]):
        code = (
            "import sys; from robustness import cli\n"
            f"sys.argv = ['robustness', *{arguments!r}]\n"
            "try:\n    cli.main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
            "heavy = {'torch', 'ray', 'optuna', 'statsmodels'} & set(sys.modules)\n"
            "assert not heavy, heavy\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)
