"""What the command line refuses before it has written anything."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from robustness.store import open_store
from tests.builders import save
from tests.test_cli import call, spec_file


@pytest.mark.parametrize("address", ["foo", "foo:", ":6379", "http://foo", "foo:99999"])
def test_an_address_that_no_ray_has_is_refused_before_anything_is_written(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("run", spec_file(tmp_path), "--store", tmp_path / "s.db")
    assert call(*command, "--address", address) == 2
    assert f"error: --address: must be HOST:PORT, ray://HOST:PORT, auto or local, got '{address}'" in (
        capsys.readouterr().err
    )
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert call(*command) == 2
    assert "error: RAY_ADDRESS: " in capsys.readouterr().err
    assert not (tmp_path / "s.db").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--certificate", "a.csv", "--key", "a.csv"], "--certificate: a.csv must hold a certificate in PEM"),
        (["--certificate", "a.csv"], "--certificate: a.csv must hold"),
        (["--certificate", "b.pem", "--key", "a.csv"], "--certificate: b.pem cannot be read"),
        (["--certificate", "a.csv", "--key", "b.pem"], "--key: b.pem cannot be read"),
        (["--key", "a.csv"], "--key: goes with --certificate"),
        (["--public-url", "lab"], "--public-url: must be"),
    ],
)
def test_a_service_that_cannot_start_makes_no_token_and_no_store(
    options: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("a,b\n")
    command = ("serve", "--store", "s.db", "--token-file", "tokens", "--port", 0, "--no-worker")
    assert call(*command, *options) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store with a study of which nothing has run; the folder for files is the current one."""
    (tmp_path / "files").mkdir()
    monkeypatch.chdir(tmp_path / "files")
    url = f"sqlite:///{tmp_path / 's.db'}"
    with open_store(url, create=True) as store:
        save(store)
    return url


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "x.xlsx"], "--output: must end with .parquet or .csv, got 'x.xlsx'"),
        (["-o", "x.xlsx", "--format", "csv"], "--output: must end with .parquet or .csv, got 'x.xlsx'"),
        (["-o", "x.csv.gz"], "got 'x.csv.gz'"),
        (["-o", "x"], "got 'x'; or name --format"),
        (["-o", "x.csv", "--format", "parquet"], "--format: parquet does not go with 'x.csv'"),
    ],
)
def test_an_export_whose_name_says_another_format_is_refused(
    options: list[str], words: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("export", "small", "--store", url, *options) == 2
    assert words in capsys.readouterr().err
    assert not list(Path().iterdir())


def test_an_export_has_the_format_that_its_name_says(url: str) -> None:
    for name in ("x.csv", "X.CSV", "x.parquet"):
        assert call("export", "small", "--store", url, "-o", name) == 0
        read = pd.read_csv if name.lower() == "x.csv" else pd.read_parquet
        assert len(read(name)) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["table", "--spread", "sd"], "--spread: goes with --rows, --columns, --metric or --compare"),
        (["table", "--delta", "1%"], "--delta: goes with --rows, --columns, --metric or --compare"),
        (["compare", "--init", "default", "--each-init"], "--each-init: does not go with --init"),
        (["compare", "--lr", "0.1", "--each-init"], "--each-init: does not go with --lr"),
        (["compare", "--lr", "0.1", "--delta", "1%"], "--delta: does not go with --lr"),
        (["figures", "--cell", "sgd,1,default"], "--cell: does not go with curves"),
        (["figures", "--a", "sgd"], "--a: does not go with curves"),
        (["figures", "--b", "sgd"], "--b: does not go with curves"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_that_would_do_nothing_is_refused(
    arguments: list[str], words: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *options = arguments
    if command == "figures":
        options += ["--formats", "html", "--figure", "curves", "--out", "out"]
    assert call(command, "small", "--store", url, *options) == 2
    assert words in capsys.readouterr().err
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    "command",
    [
        "report begun -o report.html",
        "show begun",
        "table begun",
        "figures begun --formats html --figure curves --out out",
        "compare begun sgd adam --metric score",
        "metrics begun",
        "audit begun",
    ],
)
def test_a_study_that_was_killed_while_it_started_is_said_to_have_no_trials(
    command: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_store(url) as store:
        store.register("begun")
    assert call(*command.split(), "--store", url) == 2
    captured = capsys.readouterr()
    assert captured.err.strip() == (
        "error: study: 'begun' has no trials yet; if nothing runs it, run it again"
    )
    assert captured.out == ""
    assert not list(Path().iterdir())


def test_metrics_say_that_nothing_is_complete(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("metrics", "small", "--store", url) == 0
    assert capsys.readouterr().out == "Nothing is complete yet.\n"
    assert call("metrics", "small", "--store", url, "--json") == 0
    assert capsys.readouterr().out == "[]\n"


@pytest.mark.parametrize("command", [["compare", "small"], ["plan", "study.json"]])
def test_a_metric_that_cannot_be_compared_is_not_said_to_be_unknown(
    command: list[str], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec_file(Path(), optimizers=[{"name": "sgd"}, {"name": "adam"}])
    pair = ["sgd", "sgd"] if command[0] == "compare" else []
    assert call(*command, *pair, "--store", url, "--metric", "tuned_lr") == 2
    assert "--metric: tuned_lr cannot be compared; " in capsys.readouterr().err
    assert call(*command, *pair, "--store", url, "--metric", "scor") == 2
    assert "--metric: there is no 'scor'; did you mean 'score'" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_refused_by_its_own_option(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = spec_file(Path())
    assert call("run", path, "--store", "new.db", "--report", "nosuch/r.html") == 2
    assert "error: --report: the folder " in capsys.readouterr().err
    assert list(Path().iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("search.lr=[]", "search.lr: must have at least 1 item, got []"),
        ("optimizers=[]", "optimizers: must have at least 1 item, got []"),
        (f"title='{'x' * 1_001}'", "title: must have at most 1000 characters, got 'xxx"),
    ],
)
def test_a_rule_reads_as_a_rule(
    change: str, words: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", spec_file(Path()), "--store", url, "--set", change) == 2
    assert capsys.readouterr().err.startswith(f"error: {words}")


def test_a_name_without_a_near_one_gets_all_that_are_known(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("show", "zzz", "--store", url) == 2
    assert capsys.readouterr().err.endswith("; known: small\n")
