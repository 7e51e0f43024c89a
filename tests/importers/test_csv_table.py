"""CSV tables."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from robustness.errors import SpecError
from robustness.importers import surveyed
from robustness.importers.csv_table import COLUMNS
from robustness.importers.csv_table import __doc__ as documentation
from tests.importers.logs import configs, epochs, imported


def table(folder: Path, *rows: str, encoding: str = "utf-8") -> Path:
    path = folder / "runs.csv"
    path.write_bytes("\n".join(rows).encode(encoding))
    return path


def test_a_row_is_a_run_and_missing_seeds_are_numbers(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "optimizer,lr,test_accuracy,validation_accuracy,l0,width,host",
        "sgd,0.1,0.9,0.91,2.3,64,a",
        "sgd,0.1,0.8,0.81,2.3,128,b",
        "",
        "=cmd|'/c calc'!A1,0.5,0.7,,,64,c",
    )
    study = imported(tmp_path, "csv", path)
    assert study.trials["seed_index"].tolist() == [0, 1, 0]
    assert study.trials["optimizer"].tolist() == ["sgd", "sgd", "=cmd|'/c calc'!A1"]
    assert study.trials["task"].unique().tolist() == ["task"]
    assert study.trials["init"].unique().tolist() == ["default"]
    assert study.settings["width"].tolist() == [64.0, 128.0, 64.0]
    assert study.facts["task"].selection == "validation"
    assert [config["rest"] for config in configs(tmp_path)] == [{"host": host} for host in "abc"]


def test_rows_of_epochs_make_one_run(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "optimizer,lr,seed,epoch,train_loss,test_loss,test_accuracy,seconds",
        "sgd,0.1,7,0,2.3,,,",
        "sgd,0.1,7,1,1.0,1.1,0.6,3",
        "sgd,0.1,7,2,nan,nan,0.1,3",
        "sgd,0.1,7,3,nan,nan,0.1,3",
        "sgd,0.1,8,1,1.0,1.1,0.6,3",
    )
    study = imported(tmp_path, "csv", path)
    first, second = study.trials.to_dict("records")
    assert (first["l0"], first["nonfinite"], first["epochs"], first["seed_index"]) == (2.3, 1, 2, 7)
    assert [row.epoch for row in epochs(tmp_path)] == [1, 2]
    assert (second["nonfinite"], second["seconds"], second["seed_index"]) == (0, 3, 8)
    assert math.isnan(second["l0"])


def test_epochs_that_start_again_are_another_run(tmp_path: Path) -> None:
    rows = [f"sgd,0.1,{epoch},0.5" for epoch in (1, 2, 1, 2)]
    study = imported(tmp_path, "csv", table(tmp_path, "optimizer,lr,epoch,test_loss", *rows))
    assert study.trials["epochs"].tolist() == [2, 2]
    assert study.trials["seed_index"].tolist() == [0, 1]


def test_an_empty_loss_is_missing_and_nan_is_a_figure(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "optimizer,lr,train_loss,test_accuracy,nonfinite,first_nonfinite_step",
        "a,0.1,,0.9,,",
        "b,0.1,nan,0.1,,",
        "c,0.1,,0.1,yes,",
        "d,0.1,,0.1,,12",
    )
    study = imported(tmp_path, "csv", path)
    assert study.complete["nonfinite"].tolist() == [0, 1, 1, 1]
    assert study.complete["first_nonfinite_step"].iloc[-1] == 12


def test_a_score_that_is_not_a_number_is_of_a_run_that_left_the_finite_numbers(tmp_path: Path) -> None:
    rows = ("a,0.1,nan,", "b,0.1,NaN,0.5", "c,0.1,,nan", "d,0.1,,inf", "e,0.1,0.9,2.3")
    study = imported(tmp_path, "csv", table(tmp_path, "optimizer,lr,test_accuracy,test_loss", *rows))
    assert study.complete["outcome"].tolist() == ["nonfinite"] * 4 + ["trained"]


def test_a_run_that_died_needs_no_score(tmp_path: Path) -> None:
    rows = ("a,0.1,1,2.3,0.1,", "a,0.1,2,nan,,", "b,0.1,1,,,yes")
    head = "optimizer,lr,epoch,train_loss,test_accuracy,nonfinite"
    study = imported(tmp_path, "csv", table(tmp_path, head, *rows))
    assert study.complete["outcome"].tolist() == ["nonfinite", "nonfinite"]


def test_constants_of_a_task_come_from_its_rows(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "task,optimizer,lr,test_loss,test_accuracy,chance,constant_loss,reference,test_size,budget,score",
        'a,sgd,0.1,0.5,0.9,0.1,2.3,0.95,1000,"10 epochs, batch 64",accuracy',
        "a,sgd,0.2,0.5,0.9,,,,,,",
        "b,sgd,0.1,0.5,,,2,-0.5,,,loss",
        "c,sgd,0.1,0.5,,,,,,,",
    )
    study = imported(tmp_path, "csv", path)
    assert study.tasks["a"].budget == "10 epochs, batch 64"
    assert (study.facts["a"].chance, study.facts["a"].test_size) == (0.1, 1000)
    assert (study.facts["b"].chance, study.facts["b"].reference) == (-2.0, -0.5)
    assert study.facts["c"].score == "loss"


def test_a_mark_before_the_header_and_quoted_line_breaks_are_read(tmp_path: Path) -> None:
    path = table(tmp_path, "optimizer,lr,test_loss,note", 'sgd,0.1,1.0,"two\nlines"', encoding="utf-8-sig")
    imported(tmp_path, "csv", path)
    assert configs(tmp_path)[0]["rest"] == {"note": "two\nlines"}


def test_what_says_neither_true_nor_false_is_refused_by_its_name(tmp_path: Path) -> None:
    path = table(tmp_path, "optimizer,lr,seed_index,test_accuracy,stopped", "sgd,0.1,0,0.9,maybe")
    with pytest.raises(SpecError, match=r"line 2: stopped must be true or false, got 'maybe'"):
        surveyed("csv", path, name="other")


def test_columns_of_our_exports_are_anybodys_own_elsewhere(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "optimizer,lr,seed,test_accuracy,distance,epochs,state",
        "'=sgd,0.1,0,0.9,1.5,3,failed",
        "'=sgd,0.1,1,0.9,2.5,4,failed",
    )
    study = imported(tmp_path, "csv", path)
    assert study.settings.to_dict("list") == {"distance": [1.5, 2.5], "epochs": [3.0, 4.0]}
    assert study.trials["optimizer"].unique().tolist() == ["'=sgd"]


def test_a_misspelt_column_is_kept_and_said(tmp_path: Path) -> None:
    path = table(tmp_path, "optimizer,lr,test_accuracy,valdation_accuracy", "sgd,0.1,0.9,0.8")
    study = imported(tmp_path, "csv", path)
    assert study.source["notes"] == [
        "column 'valdation_accuracy' is not known and kept as it is; did you mean 'validation_accuracy'?"
    ]
    assert configs(tmp_path)[0]["hyperparameters"] == {"valdation_accuracy": 0.8}


HEAD = "optimizer,lr,test_accuracy"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "runs.csv: is empty"),
        (
            ["optimizer,test_accuracy", "sgd,0.9"],
            r"line 1: column 'lr' is missing \(found: optimizer, test_accuracy\)$",
        ),
        (["optimiser,lr,test_loss"], "did you mean 'optimizer'"),
        (["optimizer,lr,train_loss"], "'test_accuracy' and 'test_loss' is required"),
        (["optimizer,lr,test_loss,lr"], "column 'lr' comes twice"),
        (["optimizer,lr,test_loss,"], "column 4 must be a text"),
        ([HEAD, "sgd,0.1,93.2"], r"line 2: test_accuracy must be a share in \[0, 1\] \(percent / 100\)"),
        ([HEAD, "sgd,0.1,0.9", "sgd,,0.9"], "line 3: lr is missing"),
        ([HEAD, "sgd,abc,0.9"], "line 2: lr must be a number, got 'abc'"),
        ([HEAD, "sgd,1_0,0.9"], "line 2: lr must be a number, got '1_0'"),
        ([HEAD, "sgd,nan,0.9"], "line 2: lr must be finite and > 0, got nan"),
        ([HEAD, "sgd,-1,0.9"], "line 2: lr must be finite and > 0, got -1"),
        ([HEAD, "sgd,1e999,0.9"], "line 2: lr is beyond what a float64 holds"),
        ([HEAD, "sgd,0.1"], "line 2: has 2 fields, the header has 3"),
        ([HEAD, 'sgd,0.1,"0.9'], "is not valid CSV"),
        ([HEAD, f"{'x' * 200_000},0.1,0.9"], "is not valid CSV: field larger"),
        ([HEAD, f"{'x' * 110_000},0.1,0.9"], "a field is longer than 100,000"),
        ([HEAD, f"{'x' * 300},0.1,0.9"], "optimizer must be a text of 1 to 200"),
        ([HEAD, "a\u200eb,0.1,0.9"], "optimizer must be one line without control"),
        ([HEAD, ",0.1,0.9"], "optimizer must be a text"),
        ([HEAD], "holds no run"),
        ([HEAD, "sgd,0.1,0.9", "sgd,0.2,"], "runs.csv, line 3: test_accuracy and test_loss are empty"),
        ([f"{HEAD},train_loss", "sgd,0.1,,0.5"], "line 2: test_accuracy and test_loss are empty"),
        ([f"{HEAD},epoch", "sgd,0.1,0.9,1", "sgd,0.1,,2"], "line 3: test_accuracy and test_loss are empty"),
        ([f"{HEAD},nonfinite", "sgd,0.1,,no"], "line 2: test_accuracy and test_loss are empty"),
        ([f"{HEAD},seed", "sgd,0.1,0.9,1.5"], "seed must be a whole number"),
        ([f"{HEAD},seed", "sgd,0.1,0.9,1", "sgd,0.1,0.9,1"], "line 3: repeats the run .* runs.csv, line 2"),
        ([f"{HEAD},epoch", "sgd,0.1,0.9,0"], "no row from after training"),
        ([f"{HEAD},nonfinite", "sgd,0.1,0.9,maybe"], "nonfinite must be true or false"),
        ([f"{HEAD},chance", "sgd,0.1,0.9,0.1", "sgd,0.1,0.9,0.2"], "chance of task 'task' is 0.2 here"),
        ([f"{HEAD},chance", "sgd,0.1,0.9,nan"], "chance must be finite"),
        ([f"{HEAD},chance", "sgd,0.1,0.9,1"], "line 2: chance of task 'task' must be < 1, got 1.0"),
        (
            [f"{HEAD},chance,reference", "sgd,0.1,0.9,,", "sgd,0.1,0.9,0.1,0.1"],
            "line 3: reference of task 'task' must be > 0.1, chance, and <= 1, got 0.1",
        ),
        ([f"{HEAD},chance,reference", "sgd,0.1,0.9,0.1,0.05"], "must be > 0.1, chance, and <= 1, got 0.05"),
        ([f"{HEAD},reference", "sgd,0.1,0.9,0"], "line 2: reference of task 'task' must be > 0.0, chance"),
        ([f"{HEAD},reference", "sgd,0.1,0.9,93"], "must be > 0.0, chance, and <= 1, got 93.0"),
        (
            ["optimizer,lr,test_loss,constant_loss,reference", "sgd,0.1,0.5,2.3,-2.3"],
            "line 2: reference of task 'task' must be > -2.3, minus constant_loss",
        ),
        (
            [f"{HEAD},test_loss,score,chance", "sgd,0.1,0.9,0.2,loss,0.1"],
            "line 2: chance of task 'task' must be absent where score is loss",
        ),
        (["optimizer,lr,test_loss,chance", "sgd,0.1,0.2,0.1"], "chance of task 'task' must be absent"),
        ([f"{HEAD},score", "sgd,0.1,0.9,bleu"], "score must be accuracy or loss"),
        ([f"{HEAD},epoch,l0", "sgd,0.1,0.9,1,2.3", "sgd,0.1,0.9,2,2.4"], "l0 must be the same in all rows"),
    ],
)
def test_a_bad_table_is_refused_with_its_line_and_the_rule(
    tmp_path: Path, rows: list[str], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        surveyed("csv", table(tmp_path, *rows), name="bad")


def test_other_encodings_and_folders_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path, HEAD, "sgd\u00e9,0.1,0.9", encoding="latin-1")
    with pytest.raises(SpecError, match=r"runs\.csv, line 2: is not UTF-8"):
        surveyed("csv", path, name="bad")
    with pytest.raises(SpecError, match=r"must be a \.csv file, not a folder"):
        surveyed("csv", tmp_path, name="bad")


def test_every_column_is_documented() -> None:
    assert documentation is not None
    for column in COLUMNS:
        assert column in documentation
