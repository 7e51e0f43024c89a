"""From a spec to trials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from robustness.spec import LrRange, expand, json_schema, override, parse, read_file, read_text
from robustness.trial import Trial
from tests.builders import space, spec, trials

STUDIES = Path(__file__).parents[2] / "studies"


def labels(**changes: Any) -> list[str]:
    return [optimizer.label for optimizer, _ in space(**changes).optimizers]


def test_a_grid_is_the_full_factorial() -> None:
    found = space(
        task={"norm": ["none", "batch"]},
        optimizers=[{"name": "sgd", "momentum": [0.0, 0.9]}, {"name": "adam", "lr": [0.1, 0.2, 0.3]}],
        search={"init": ["default", "orthogonal"], "seeds": 3},
    )
    assert found.cell_count == 2 * 2 * (2 * 2 + 3)
    assert found.trial_count == len(list(found.trials())) == found.cell_count * 3


def test_every_trial_has_its_own_key() -> None:
    found = trials(
        task={"epochs": [1, 2]}, search={"init": ["default", {"name": "normal", "std": [0.1, 1.0]}]}
    )
    assert len({trial.key for trial in found}) == len(found) == 2 * 2 * 3 * 2


def test_the_key_does_not_depend_on_names_and_resources() -> None:
    plain = spec(name="other", title="t", question="q", resources={"cpus": 2, "pack": 4})
    renamed = [trial.key for trial, _ in expand(parse(plain)).trials()]
    assert renamed == [trial.key for trial in trials()]


def test_a_claim_is_no_part_of_a_trial() -> None:
    two: dict[str, Any] = {"optimizers": [{"name": "sgd"}, {"name": "adam", "label": "a b"}]}
    claimed = parse(spec(**two, claim={"metric": "divergence_rate", "a": "a b", "b": "sgd"}))
    assert [t.key for t, _ in expand(claimed).trials()] == [t.key for t in trials(**two)]
    again = parse(json.loads(json.dumps(claimed.model_dump(mode="json"))))
    assert again == claimed
    assert parse(spec()).claim is None


def test_a_default_written_out_is_the_same_trial() -> None:
    written = trials(optimizers=[{"name": "sgd", "momentum": 0, "nesterov": False}], task={"width": 64})
    assert [t.key for t in written] == [t.key for t in trials()]


def test_raising_seeds_or_adding_a_learning_rate_keeps_the_old_trials() -> None:
    old = {trial.key for trial in trials()}
    assert old < {trial.key for trial in trials(search={"seeds": 3})}
    assert old < {trial.key for trial in trials(search={"lr": [0.1, 0.5, 1.0]})}


@given(st.floats(1e-20, 1e20), st.floats(1.001, 1e6), st.integers(2, 60))
def test_a_range_of_learning_rates_is_even_in_the_logarithm(low: float, factor: float, points: int) -> None:
    values = np.log10(LrRange(low=low, high=low * factor, points=points).values())
    assert len(values) == points
    np.testing.assert_allclose(np.diff(values), np.log10(factor) / (points - 1), rtol=1e-6, atol=1e-11)


def test_a_trial_survives_its_plain_form() -> None:
    for trial in trials(optimizers=[{"name": "adam", "betas": [[0.9, 0.99], [0.8, 0.9]]}]):
        assert Trial.from_dict(json.loads(trial.json)) == trial
        assert Trial.from_dict(json.loads(trial.json)).key == trial.key


def test_a_label_is_the_name_and_the_fields_that_vary() -> None:
    assert labels(optimizers=[{"name": "sgd"}, {"name": "adam"}]) == ["sgd", "adam"]
    assert labels(optimizers=[{"name": "sgd", "momentum": [0.0, 0.9]}]) == [
        "sgd momentum=0",
        "sgd momentum=0.9",
    ]
    assert labels(optimizers=[{"name": "sgd"}, {"name": "sgd", "nesterov": True, "momentum": 0.9}]) == [
        "sgd momentum=0 nesterov=false",
        "sgd momentum=0.9 nesterov=true",
    ]


def test_a_users_label_keeps_the_others_short() -> None:
    assert labels(optimizers=[{"name": "sgd"}, {"name": "sgd", "momentum": 0.9, "label": "momentum"}]) == [
        "sgd",
        "momentum",
    ]
    assert labels(optimizers=[{"name": "sgd", "momentum": [0.5, 0.9], "label": "m"}]) == [
        "m momentum=0.5",
        "m momentum=0.9",
    ]


def test_an_initialization_shows_the_arguments_that_were_given() -> None:
    found = space(
        search={"init": ["default", {"name": "normal", "std": 2.0}, {"name": "default", "scale": 8.0}]}
    )
    assert [init.label for init in found.inits] == ["default", "normal std=2", "default scale=8"]


def test_task_axes_are_in_the_label() -> None:
    found = space(task={"norm": ["none", "batch"], "batch_size": 32})
    assert [task.label for task in found.tasks] == ["digits mlp norm=none", "digits mlp norm=batch"]


def test_a_part_of_a_data_set_is_an_axis_and_the_whole_is_the_trial_that_it_was() -> None:
    found = space(task={"train_size": [0, 500]})
    assert [task.label for task in found.tasks] == ["digits mlp train_size=0", "digits mlp train_size=500"]
    assert [t.key for t in trials(task={"train_size": 0})] == [t.key for t in trials()]
    assert trials()[0].cell.task.data.as_dict() == {"name": "digits"}


def test_tuple_arguments_take_a_list_of_lists_as_an_axis() -> None:
    assert labels(optimizers=[{"name": "adam", "betas": [[0.9, 0.99], [0.8, 0.9]]}]) == [
        "adam betas=(0.9, 0.99)",
        "adam betas=(0.8, 0.9)",
    ]


def test_toml_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    plain = read_file(STUDIES / "quickstart.toml")
    (tmp_path / "a.json").write_text(json.dumps(plain))
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(plain))
    assert read_file(tmp_path / "a.json") == read_file(tmp_path / "a.yaml") == plain


def test_yaml_reads_numbers_as_people_write_them() -> None:
    assert read_text("a: 010", "yaml") == {"a": 10}
    read = read_text("a: 1e-4\nb: no\nc: 2026-01-01\nd: 0.5\ne: true\nf: 3\ng: null\nh: .5\n", "yaml")
    assert read == {"a": 1e-4, "b": "no", "c": "2026-01-01", "d": 0.5, "e": True, "f": 3, "g": None, "h": 0.5}


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("search.seeds=3", ("search", "seeds"), 3),
        ("tasks[0].epochs=1", ("tasks", 0, "epochs"), 1),
        ("tasks.0.epochs = 1", ("tasks", 0, "epochs"), 1),
        ("search.lr=[0.1, 1.0]", ("search", "lr"), [0.1, 1.0]),
        ("search.lr={low=0.1, high=1, points=3}", ("search", "lr"), {"low": 0.1, "high": 1, "points": 3}),
        ("search.seeds=" + "9" * 5_000, ("search", "seeds"), "9" * 5_000),
        ("title=What is it?", ("title",), "What is it?"),
        ("resources.cpus=2", ("resources", "cpus"), 2),
    ],
)
def test_an_override_sets_one_field(assignment: str, path: tuple[Any, ...], value: Any) -> None:
    before = spec()
    found: Any = override(before, assignment)
    assert before == spec()
    for step in path:
        found = found[step]
    assert found == value


@pytest.mark.parametrize("path", sorted(STUDIES.glob("**/*.toml")), ids=lambda p: p.stem)
def test_every_shipped_study_is_valid_and_names_the_schema(path: Path) -> None:
    assert path.read_text().startswith("#:schema ")
    assert expand(parse(read_file(path))).trial_count > 0


def test_the_shipped_schema_is_the_printed_one() -> None:
    assert json.loads((STUDIES / "study.schema.json").read_text()) == json_schema()


def test_the_schema_accepts_the_quickstart_and_refuses_what_we_refuse() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    assert validator.is_valid(read_file(STUDIES / "quickstart.toml"))
    for bad in (
        {"optimizers": [{"name": "sdg"}]},
        {"task": {"epochs": 0}},
        {"taks": 1},
        {"claim": {"metric": "divergence", "a": "sgd", "b": "adam"}},
        {"claim": {"metric": "score", "a": "sgd"}},
        {"search": {"lr": 0}},
    ):
        assert not validator.is_valid(spec(**bad)), bad


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "epochs": st.lists(st.integers(1, 50), min_size=1, max_size=3, unique=True),
            "norm": st.sampled_from(["none", "batch", "layer", "group"]),
            "width": st.sampled_from([4, 64, 128]),
        },
    ),
    st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=5, unique_by=lambda lr: float(f"{lr:.12g}")),
    st.integers(1, 4),
)
def test_a_spec_read_back_from_its_stored_form_gives_the_same_trials(
    task: dict[str, Any], lrs: list[float], seeds: int
) -> None:
    study = parse(spec(task=task, search={"lr": lrs, "seeds": seeds}))
    again = parse(json.loads(json.dumps(study.model_dump(mode="json"))))
    assert [t.key for t, _ in expand(again).trials()] == [t.key for t, _ in expand(study).trials()]
