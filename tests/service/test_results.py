"""Results over HTTP: divergence is data, pages are whole, everything that is drawn can be asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from robustness.figures import FIGURES
from robustness.store import CONFIRM, StudyTrial
from robustness.summary import METRICS
from tests.builders import record, save, space, trials
from tests.service.live import HOSTILE, Live

STUDY = "/studies/filled"


def get(filled: Live, path: str, **params: Any) -> Any:
    with filled.client() as client:
        answer = client.get(STUDY + path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_study_says_how_far_it_is_and_what_to_beware_of(filled: Live) -> None:
    found = get(filled, "")
    assert found["counts"] == {"waiting": 1, "running": 0, "complete": 11, "failed": 0}
    assert (found["state"], found["title"]) == ("cancelled", HOSTILE)
    assert any("missing" in text for text in found["warnings"])


def test_cells_have_counts_and_rates(filled: Live) -> None:
    found = get(filled, "/cells")
    assert found["total"] == 4
    [first, *_] = get(filled, "/cells", optimizer="adam", limit=1, offset=1)["items"]
    assert (first["optimizer"], first["lr"], first["nonfinite"], first["n"]) == ("adam", 1.0, 2, 2)
    assert first["divergence_rate"] == 1.0


def test_pages_of_trials_are_the_whole_in_order(filled: Live) -> None:
    whole = get(filled, "/trials")["items"]
    parts = [get(filled, "/trials", limit=5, offset=offset)["items"] for offset in (0, 5, 10)]
    assert [row for part in parts for row in part] == whole
    assert len({row["key"] for row in whole}) == 12


def test_trials_are_filtered_and_sorted(filled: Live) -> None:
    dead = get(filled, "/trials", outcome="nonfinite", sort="seed_index", descending=True)
    assert dead["total"] == 5
    assert {row["test_accuracy"] for row in dead["items"]} == {None}
    assert [row["seed_index"] for row in dead["items"]] == [2, 1, 1, 0, 0]
    assert get(filled, "/trials", state="waiting")["items"][0]["outcome"] is None
    assert get(filled, "/trials", lr=0.1, optimizer="adam")["total"] == 3
    assert get(filled, "/trials", task="=cmd|x")["total"] == 0


def test_trials_with_fresh_seeds_are_listed_with_their_reason(service: Live) -> None:
    store = service.store
    held = store.acquire(save(store))
    fresh, labels = list(space(search={"seeds": 3}).trials())[2]
    store.extend(held, [StudyTrial(fresh, *labels, CONFIRM)])
    store.finish(held, [record(trial) for trial in [*trials(), fresh]])
    store.release(held)
    with service.client() as client:
        found = client.get("/studies/small/trials").json()
    assert [row["reason"] for row in found["items"]] == ["", "", "", "", "confirm"]
    assert found["items"][4]["outcome"] == "trained"


def test_the_epoch_of_death_is_the_last_and_null(filled: Live) -> None:
    key = get(filled, "/trials", outcome="nonfinite")["items"][0]["key"]
    first, last = get(filled, f"/trials/{key}/epochs")
    assert (first["train_loss"], first["train_loss_max"]) == (0.5, None)  # an infinity
    assert (last["epoch"], last["train_loss"]) == (2, None)
    with filled.client() as client:
        assert client.get(f"{STUDY}/trials/{'0' * 64}/epochs").status_code == 404


def test_every_metric_comes_with_its_interval_or_a_note(filled: Live) -> None:
    rows = get(filled, "/metrics")
    assert {row["metric"] for row in rows} <= set(METRICS)
    assert all(row["note"] for row in rows if row["value"] is None)
    only = get(filled, "/metrics", metric=["score", "divergence_rate"], delta="0.02")
    assert {row["metric"] for row in only} == {"score", "divergence_rate"}
    with filled.client() as client:
        wrong = client.get(f"{STUDY}/metrics", params={"metric": "scor"})
        assert (wrong.status_code, wrong.json()["problems"][0]["path"]) == (422, "--metric")
        assert client.get(f"{STUDY}/metrics", params={"delta": "-1"}).status_code == 422


@pytest.mark.parametrize(
    ("format_", "media", "words"),
    [
        ("html", "text/html", "<table>"),
        ("markdown", "text/markdown", "| "),
        ("latex", "application/x-tex", "\\begin{table}"),
        ("csv", "text/csv", "'=cmd|sgd"),
    ],
)
def test_the_table_comes_in_every_format(format_: str, media: str, words: str, filled: Live) -> None:
    with filled.client() as client:
        answer = client.get(f"{STUDY}/table", params={"format": format_})
    assert answer.headers["content-type"] == f"{media}; charset=utf-8"
    assert words in answer.text
    assert "<img src=x" not in answer.text or format_ in ("latex", "markdown", "csv")


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_or_says_why_not(name: str, filled: Live) -> None:
    with filled.client() as client:
        answer = client.get(f"{STUDY}/figures/{name}", params={"format": "json"})
        if answer.status_code == 422:
            assert "cannot be drawn" in answer.json()["detail"]
            return
        assert json.loads(answer.text, parse_constant=lambda text: pytest.fail(text))["data"]
        page = client.get(f"{STUDY}/figures/{name}")
    assert "<img src=x" not in page.text
    assert page.headers["etag"] == client_etag(filled, name)


def client_etag(filled: Live, name: str) -> str:
    with filled.client() as client:
        return client.get(f"{STUDY}/figures/{name}").headers["etag"]


@pytest.mark.parametrize("path", ["/table", "/figures/heatmap-diverged", "/report"])
def test_what_a_study_without_trials_has_not_is_422(path: str, service: Live) -> None:
    service.store.register("begun")
    with service.client() as client:
        assert client.get("/studies/begun").json()["warnings"] == ["Nothing is complete yet."]
        answer = client.get(f"/studies/begun{path}")
    assert answer.status_code == 422
    assert "'begun' has no trials yet" in answer.json()["detail"]


def test_a_figure_of_nothing_is_422_with_what_there_is(filled: Live) -> None:
    with filled.client() as client:
        for params, words in (
            ({"task": "no such"}, "there is no task"),
            ({"a": "sgdd"}, "there is no 'sgdd'"),
            ({"cell": "sgd,0.1,default"}, "must be optimizer,lr,init"),
            ({"size": "huge"}, "size"),
        ):
            answer = client.get(
                f"{STUDY}/figures/{'learning-curves' if 'cell' in params else 'difference'}", params=params
            )
            assert answer.status_code == 422, params
            assert words in answer.json()["detail"]
        assert client.get(f"{STUDY}/figures/heatmap").status_code == 422


def test_the_schema_is_that_of_the_command_line(filled: Live) -> None:
    from robustness.spec import json_schema

    with filled.client() as client:
        assert client.get("/schema").json() == json.loads(json.dumps(json_schema()))


def test_prometheus_counts_studies_and_trials(filled: Live) -> None:
    with filled.client() as client:
        text = client.get("/prometheus").text
    assert 'robustness_studies{state="cancelled"} 1\n' in text
    assert 'robustness_trials{state="complete"} 11\n' in text
