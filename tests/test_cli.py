"""The command line on a store that is filled without training."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from robustness import cli
from robustness.spec import json_schema
from robustness.store import open_store
from tests.browser import rendered, require_chromium
from tests.builders import dead_epoch, epoch, record, save, spec, trials
from tests.spec.bad_specs import BAD, BAD_TEXTS

HOSTILE = "<img src=x onerror=alert(1)> 100 % _of_ $x$ & #1"
SPEC: dict[str, Any] = {
    "title": HOSTILE,
    "question": HOSTILE,
    "optimizers": [{"name": "sgd", "label": "=cmd|sgd"}, {"name": "adam"}],
    "search": {"lr": [0.1, 1.0], "init": ["default"], "seeds": 2},
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with the small study: half of the trials complete, one failed, some diverged."""
    url = f"sqlite:///{tmp_path / 'filled.db'}"
    with open_store(url, create=True) as store:
        held = store.acquire(save(store, **SPEC))
        for trial in trials(**SPEC)[:6]:
            if trial.cell.lr == 1.0:
                store.finish(held, [record(trial, dead_epoch(1), step=3)])
            else:
                store.finish(held, [record(trial, epoch(1), epoch(2))])
        store.release(held)
    return url


def call(*arguments: object) -> int:
    """Run a command in this process; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["robustness", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def spec_file(folder: Path, **changes: Any) -> Path:
    path = folder / "study.json"
    path.write_text(json.dumps(spec(**changes)))
    return path


@pytest.mark.parametrize(
    "changes",
    [b[1] for b in BAD if "NaN" not in b[0] and "infinite" not in b[0]],
    ids=[b[0] for b in BAD if "NaN" not in b[0] and "infinite" not in b[0]],
)
def test_a_bad_spec_exits_2_and_writes_nothing(
    changes: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = spec_file(tmp_path, **changes)
    assert call("run", path, "--store", tmp_path / "new.db") == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("kind", "text"), [b[1:3] for b in BAD_TEXTS], ids=[b[0] for b in BAD_TEXTS])
def test_a_bad_file_exits_2_and_writes_nothing(
    kind: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"study.{kind}"
    path.write_text(text)
    assert call("run", path, "--store", tmp_path / "new.db") == 2
    assert "error: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


def test_absent_data_are_refused_before_the_store_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = spec_file(tmp_path, task={"data": "cifar10", "model": "toy-cnn"})
    assert call("run", path, "--store", tmp_path / "new.db", "--data", tmp_path) == 2
    assert f"robustness data cifar10 --root {tmp_path}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["table", "smal"], "did you mean 'small'"),
        (["audit", "smal"], "did you mean 'small'"),
        (["show", "../x"], "no study"),
        (["report", "small", "-o", "/nowhere/r.html"], "folder /nowhere"),
        (["export", "small", "-o", "/nowhere/x.csv"], "folder /nowhere"),
        (["table", "small", "--format", "word"], "word"),
        (["catalog", "adan"], "did you mean 'adam'"),
        (["data", "minst"], "did you mean 'mnist1d'"),
        (["run", "no.toml"], "no such file"),
        (["no-such-command"], "no-such-command"),
    ],
)
def test_a_users_mistake_is_a_message_and_exit_2(
    arguments: list[str],
    words: str,
    url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROBUSTNESS_STORE", url)
    assert call(*arguments) == 2
    assert words in capsys.readouterr().err


def test_a_store_that_is_not_there_is_a_message_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("list", "--store", tmp_path / "no.db") == 2
    assert "there is no store" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_version_is_that_of_the_installed_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"robustness {version('robustness-study')}\n"


def test_list_shows_states_and_a_hostile_title_as_text(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list", "--store", url) == 0
    out = capsys.readouterr().out
    assert re.search(rf"small\s+{re.escape(HOSTILE)}\s+6/8\s+0\s+0\s+20\d\d-", out)


def test_show_answers_in_three_sentences(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("show", "small", "--store", url) == 0
    out = capsys.readouterr().out
    assert "8 trials: 2 waiting, 6 complete" in out
    assert re.search(
        r"adam 0\.0 % \(0\.0 to \d\d\.\d; 0 of 2\), 0 of them not finite; =cmd\|sgd 50\.0 %", out
    )
    assert "Not a claim made beforehand: On " in out


@pytest.mark.parametrize("format_", ["csv", "latex", "markdown", "html"])
def test_a_table_is_the_same_to_the_byte_each_time(
    format_: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = []
    for _ in range(2):
        assert call("table", "small", "--store", url, "--format", format_) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    assert "<img" not in outputs[0].replace("\\<img", "") or format_ == "latex"
    assert format_ != "csv" or not re.search(r"(^|,)=cmd", outputs[0], re.M)


@pytest.mark.parametrize(("arguments", "rows"), [([], 8), (["--epochs"], 4 * 2 + 2)])
def test_an_export_holds_everything_recorded(
    arguments: list[str], rows: int, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("parquet", "csv"):
        assert (
            call("export", "small", "--store", url, "--format", name, "-o", tmp_path / name, *arguments) == 0
        )
    parquet, text = pd.read_parquet(tmp_path / "parquet"), pd.read_csv(tmp_path / "csv")
    assert len(parquet) == len(text) == rows
    assert list(parquet.columns) == list(text.columns)
    assert set(text["optimizer"]) == {"'=cmd|sgd", "adam"}
    assert math.isnan(parquet.loc[parquet["lr"] == 1.0, "train_loss"].iloc[0])


def test_an_export_of_some_columns_has_them_in_that_order_and_a_wrong_name_writes_nothing(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def export(path: Path, columns: str) -> int:
        return call("export", "small", "--store", url, "--format", "csv", "-o", path, "--columns", columns)

    assert export(tmp_path / "some.csv", "lr, optimizer") == 0
    assert list(pd.read_csv(tmp_path / "some.csv").columns) == ["lr", "optimizer"]
    assert export(tmp_path / "wrong.csv", "lr,opimizer") == 2
    assert "did you mean 'optimizer'" in capsys.readouterr().err
    assert not (tmp_path / "wrong.csv").exists()


def test_the_schema_and_the_catalog_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("schema") == 0
    assert json.loads(capsys.readouterr().out) == json_schema()
    assert call("catalog") == 0
    out = capsys.readouterr().out
    for words in (
        "insgd",
        "kaiming-normal",
        "fashion-mnist",
        "toy-cnn",
        "betas = [0.9, 0.999]",
        "batch_size = 64",
    ):
        assert words in out
    assert call("catalog", "adam") == 0
    assert "sgd" not in capsys.readouterr().out


def test_an_override_is_checked_like_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = spec_file(tmp_path)
    assert call("run", path, "--store", tmp_path / "new.db", "--set", "search.seeds=0") == 2
    assert "search.seeds: must be greater than or equal to 1, got 0" in capsys.readouterr().err


def test_a_pack_that_is_no_number_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for value in ("0", "many", "1.5"):
        assert call("run", spec_file(tmp_path), "--store", tmp_path / "s.db", "--pack", value) == 2
        assert "resources.pack" in capsys.readouterr().err
    assert not (tmp_path / "s.db").exists()


def test_a_benchmark_that_is_not_there_is_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("bench", "packs", "--workload", "mlp digit") == 2
    assert "did you mean 'mlp digits'" in capsys.readouterr().err


def test_the_report_lists_chaotic_trials(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.html"
    assert call("report", "small", "--store", url, "-o", path) == 0
    text = path.read_text()
    assert "2 trials are chaotic" in text
    assert "=cmd|sgd, default, learning rate 1: seeds 0, 1" in text


def test_the_report_is_one_offline_file(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "report.html"
    assert call("report", "small", "--store", url, "-o", page) == 0
    assert capsys.readouterr().out.strip() == str(page)
    text = page.read_text()
    assert page.stat().st_size < 8_000_000
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)\s*=", text)
    assert "<img" not in re.sub(r"<script.*?</script>", "", text, flags=re.S)
    for words in (
        "2 of 8 trials are missing",
        "2 of 4), 2 of them not finite",
        "2 seeds: below 10",
        "record version",
    ):
        assert words in text


@pytest.mark.browser
def test_the_report_draws_its_figures_without_a_network(url: str, tmp_path: Path) -> None:
    require_chromium()
    page = tmp_path / "report.html"
    assert call("report", "small", "--store", url, "-o", page) == 0
    document, log = rendered(page, tmp_path / "profile")
    assert document.count('class="main-svg"') >= 3
    assert ">2/2</text>" in document
    assert "CONSOLE" not in log
    assert "ERR_NAME_NOT_RESOLVED" not in log


@pytest.mark.browser
def test_the_report_is_printed_with_all_its_pages(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_chromium()
    page, paper = tmp_path / "report.html", tmp_path / "report.pdf"
    assert call("report", "small", "--store", url, "-o", page, "--pdf", paper) == 0
    assert capsys.readouterr().out.split() == [str(page), str(paper)]
    content = paper.read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") >= 4


def test_without_a_browser_nothing_is_printed_and_html_is_offered(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))
    assert (
        call("report", "small", "--store", url, "-o", tmp_path / "r.html", "--pdf", tmp_path / "r.pdf") == 2
    )
    assert "--pdf: needs a Chromium" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_an_imported_study_has_a_report_that_says_where_it_came_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, page = tmp_path / "s.db", tmp_path / "r.html"
    logs = Path(__file__).parent / "data" / "imports" / "deepobs"
    assert call("import", "deepobs", logs, "--store", store, "--name", "logs") == 0
    assert call("report", "logs", "--store", store, "-o", page) == 0
    text = page.read_text()
    for words in ("none: imported", "&#34;format&#34;: &#34;deepobs&#34;", "selected on test data"):
        assert words in text


def test_a_report_of_drawn_learning_rates_has_each_rate_once(tmp_path: Path) -> None:
    store, page, logs = tmp_path / "s.db", tmp_path / "r.html", tmp_path / "runs.csv"
    drawn = [f"adam,{10 ** (-4 + i / 20):.9g},{0.9 if i < 60 else 0.1},{i}" for i in range(80)]
    logs.write_text("\n".join(["optimizer,lr,test_accuracy,seed", *drawn]))
    assert call("import", "csv", logs, "--store", store, "--name", "drawn") == 0
    assert call("report", "drawn", "--store", store, "-o", page) == 0
    heads = re.findall(r"<thead>.*?</thead>", page.read_text(), re.S)
    assert [head.count("Not trained") for head in heads] == [0, 1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--metric", "tolerance_windw"], "did you mean 'tolerance_window'"),
        (["--delta", "-1"], "must be a score >= 0"),
        (["--seed-filter", "7-3"], "must be seed indices"),
        (["--seed-filter", "99"], "no trial of 'small' has one of the seed indices [99]"),
        (["--threshold", "skill_flor=0.05"], "did you mean 'skill_floor'"),
        (["--threshold", "skill_floor=x"], "skill_floor must be a number >= 0"),
    ],
)
def test_metrics_refuses_what_it_does_not_know(
    options: list[str], words: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("metrics", "small", "--store", url, *options) == 2
    assert words in capsys.readouterr().err


def test_metrics_prints_json_or_blocks_and_narrows(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("metrics", "small", "--store", url, "--json", "--metric", "score,divergence_rate") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["metric"] for row in rows} == {"score", "divergence_rate"}
    seed = ("--seed-filter", "0", "--threshold", "skill_floor=0.99")
    assert call("metrics", "small", "--store", url, "--metric", "not_trained_rate", *seed) == 0
    out = capsys.readouterr().out
    assert out.startswith("\nnot_trained_rate, share: trials that did not train, for any reason\n")
    assert re.search(r"adam .* 1 .* 1/1", out)


@pytest.mark.parametrize("width", [80, 120])
def test_audit_prints_a_verdict_for_each_section_within_the_terminal(
    width: int, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert call("audit", "small", "--store", url) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    assert not re.search(r" $", out, re.M)
    assert re.findall(r"^(ok|look|bad) +([a-z ]+):", out, re.M) == [
        ("look", "budgets"),
        ("bad", "missing squares"),
        ("bad", "edges"),
        ("look", "defaults"),
        ("look", "selection"),
        ("ok", "labels") if "every label" in out else ("look", "labels"),
    ]
    assert re.search(r"=cmd\|sgd +4 +4 +0 +0 +1 +2 +2\n +adam +4 +2 +2 +0", out)
    assert re.search(r"adam, default +1 +0 +2\n", out)


def test_audit_prints_one_json_object(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("audit", "small", "--store", url, "--json") == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["study"] == "small"
    assert [row["complete"] for row in plain["budgets"]["rows"]] == [4, 2]
    assert plain["defaults"]["rows"][1]["gain"] is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["list"],
        ["table", "small"],
        ["schema"],
        ["show", "small"],
        ["report", "small"],
        ["metrics", "small"],
        ["audit", "small"],
    ],
    ids=lambda a: a[0],
)
def test_the_read_side_loads_neither_torch_nor_ray(arguments: list[str], url: str, tmp_path: Path) -> None:
    code = (
        "import sys; from robustness import cli\n"
        f"sys.argv = ['robustness', *{arguments!r}]\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'torch', 'ray', 'optuna'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "if sys.argv[1] in ('--help', 'list'):\n    assert not {'pandas', 'plotly'} & set(sys.modules)\n"
    )
    environment = {"ROBUSTNESS_STORE": url, "PATH": "", "HOME": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL
    )
