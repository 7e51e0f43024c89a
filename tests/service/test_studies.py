"""Submitting, watching, cancelling, resuming and deleting studies over HTTP."""

from __future__ import annotations

import json
import math
import threading
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from robustness.errors import SpecError
from robustness.spec import expand, parse, read_text, scaled
from robustness.store import Claims, Store, StudyState
from robustness.store.schema import study, submission
from tests.builders import record, save, spec, trials
from tests.service.live import HOSTILE, READ, WRITE, Live
from tests.spec.bad_specs import BAD, BAD_TEXTS

JSON, TOML = {"content-type": "application/json"}, {"content-type": "application/toml"}


def rows(store: Store) -> int:
    with store.reading() as connection:
        return sum(
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (study, submission)
        )


def paths_of(text: str, kind: str) -> list[str]:
    """As the command line has them; it names the file where the service names the body."""
    with pytest.raises(SpecError) as caught:
        expand(scaled(parse(read_text(text, kind, name="body")), "full"))
    return [problem.path for problem in caught.value.problems]


def as_toml(plain: Any) -> str:
    """A value on one line; JSON has no NaN and no infinities."""
    if isinstance(plain, dict):
        pairs = (f"{json.dumps(k)} = {as_toml(v)}" for k, v in plain.items() if v is not None)
        return "{" + ", ".join(pairs) + "}"
    if isinstance(plain, list):
        return "[" + ", ".join(map(as_toml, plain)) + "]"
    if isinstance(plain, float) and not math.isfinite(plain):
        return str(plain)
    return json.dumps(plain)


def has_no_json(plain: Any) -> bool:
    return "NaN" in json.dumps(plain) or "Infinity" in json.dumps(plain)


def test_every_bad_spec_is_422_with_the_command_lines_paths_and_no_row(service: Live) -> None:
    with service.client() as client:
        for name, changes, path, words in BAD:
            plain = spec(**changes)
            if has_no_json(plain):
                text, kind, header = "\n".join(f"{k} = {as_toml(v)}" for k, v in plain.items()), "toml", TOML
            else:
                text, kind, header = json.dumps(plain), "json", JSON
            answer = client.post("/studies", content=text.encode(), headers=header)
            assert answer.status_code == 422, (name, answer.text)
            problems = answer.json()["problems"]
            assert [p["path"] for p in problems] == paths_of(text, kind)[:200], name
            assert [p for p in problems if p["path"] == path and words in p["message"]], name
    assert rows(service.store) == 0


def test_every_bad_text_is_422_and_no_row(service: Live) -> None:
    with service.client() as client:
        for name, kind, text, _ in BAD_TEXTS:
            body, headers = text.encode("utf-8", "surrogatepass"), {"content-type": f"application/{kind}"}
            answer = client.post("/studies", content=body, headers=headers)
            allowed = {"json": 422, "toml": 422}.get(kind, 415)
            assert answer.status_code in (allowed, 413), (name, answer.text[:200])
            assert answer.json()["detail"]
    assert rows(service.store) == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"name": NaN}', b'{"a":1,"a":2}'])
def test_a_body_that_is_no_spec_is_422(body: bytes, service: Live) -> None:
    with service.client() as client:
        assert client.post("/studies", content=body, headers=JSON).status_code == 422
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            assert client.post("/studies", content=body, headers={"content-type": kind}).status_code == 415


def test_absent_data_are_422_with_the_command_that_gets_them(service: Live) -> None:
    with service.client() as client:
        answer = client.post("/studies", json=spec(task={"data": "cifar10", "model": "toy-cnn"}))
    assert answer.status_code == 422
    assert "robustness data cifar10" in answer.json()["detail"]
    assert rows(service.store) == 0


def test_a_submitted_study_waits_and_its_text_is_kept(service: Live) -> None:
    with service.client() as client:
        answer = client.post("/studies", json=spec(title=HOSTILE))
        assert (answer.status_code, answer.headers["location"]) == (201, "/api/v1/studies/small")
        found = answer.json()
        assert (found["id"], found["state"], found["trials"], found["title"]) == (
            "small",
            "queued",
            4,
            HOSTILE,
        )
        assert client.get("/studies/small").json() == found
        assert client.post("/studies", json=spec()).status_code == 409
        listed = client.get("/studies", params={"state": "queued"}).json()
        assert [item["id"] for item in listed["items"]] == ["small"]
        assert client.get("/studies", params={"state": "running"}).json()["total"] == 0


def test_toml_is_the_same_study_as_json(service: Live) -> None:
    text = "\n".join(f"{k} = {as_toml(v)}" for k, v in spec().items())
    with service.client() as client:
        assert client.post("/studies", content=text.encode(), headers=TOML).json()["trials"] == 4
    claim = Claims(service.store, 3_600).take()
    assert claim is not None
    assert expand(parse(claim.spec)) == expand(parse(spec()))


def test_the_same_key_submits_once_however_often_and_by_how_many_it_is_sent(service: Live) -> None:
    found: list[httpx.Response] = []

    def send() -> None:
        with service.client(WRITE, **{"idempotency-key": "k1"}) as client:
            found.append(client.post("/studies", json=spec()))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in found] == [201] * 6
    assert sorted("idempotency-replayed" in answer.headers for answer in found) == [False] + [True] * 5
    assert rows(service.store) == 2
    with service.client(WRITE, **{"idempotency-key": "k1"}) as client:
        other = client.post("/studies", json=spec(name="other"))
    assert (other.status_code, other.json()["problems"][0]["path"]) == (422, "Idempotency-Key")
    with service.client(READ, **{"idempotency-key": "k1"}) as client:
        assert client.post("/studies", json=spec()).status_code == 403


def test_a_token_has_a_limit_of_waiting_studies(service: Live) -> None:
    with service.client() as client:
        codes = [client.post("/studies", json=spec(name=f"s{i}")).status_code for i in range(4)]
        assert codes == [201, 201, 201, 429]
        assert client.post("/studies/s0/cancel").json()["state"] == "cancelled"
        assert client.post("/studies", json=spec(name="s3")).status_code == 201
        assert client.post("/studies/s0/resume").status_code == 429


def test_a_study_is_cancelled_resumed_and_deleted(service: Live) -> None:
    with service.client() as client:
        client.post("/studies", json=spec())
        assert client.delete("/studies/small").status_code == 409
        assert client.post("/studies/small/cancel").json()["state"] == "cancelled"
        assert client.post("/studies/small/cancel").status_code == 202
        assert client.post("/studies/small/resume").json()["state"] == "queued"
        assert client.post("/studies/small/resume").status_code == 202
        client.post("/studies/small/cancel")
        assert client.delete("/studies/small").status_code == 204
        for method, path in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/cancel"),
            ("POST", "/resume"),
            ("GET", "/cells"),
        ):
            assert client.request(method, f"/studies/small{path}").status_code == 404
    assert rows(service.store) == 0


def test_a_complete_study_can_be_extended_and_keeps_its_results(service: Live) -> None:
    store = service.store
    held = store.acquire(save(store))
    store.finish(held, [record(trial) for trial in trials()])
    store.release(held)
    with service.client() as client:
        assert client.get("/studies/small").json()["state"] == "complete"
        assert client.post("/studies/small/cancel").status_code == 409
        assert client.post("/studies/small/resume").status_code == 409
        longer = client.post("/studies", params={"extend": True}, json=spec(search={"seeds": 3}))
        assert (longer.status_code, longer.json()["state"], longer.json()["trials"]) == (201, "queued", 6)
        assert client.get("/studies/small").json()["counts"]["complete"] == 4


def test_deleting_a_study_leaves_what_another_has_too(service: Live) -> None:
    store = service.store
    held = store.acquire(save(store))
    store.finish(held, [record(trial) for trial in trials()])
    store.release(held)
    save(store, name="other", search={"seeds": 1})
    with service.client() as client:
        assert client.delete("/studies/small").status_code == 204
        other = client.get("/studies/other").json()
        assert (other["state"], other["counts"]["complete"]) == ("complete", 2)
        assert client.delete("/studies/other").status_code == 204
    with store.reading() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM trial")).scalar() == 0
        assert connection.execute(sa.text("SELECT count(*) FROM epoch")).scalar() == 0


def test_a_study_that_the_command_line_runs_is_running_and_not_ours_to_stop(service: Live) -> None:
    store = service.store
    study_id = save(store)
    held = store.acquire(study_id)
    store.finish(held, [record(trials()[0])])
    with service.client() as client:
        found = client.get("/studies/small").json()
        assert found["state"] == "running"
        assert found["trials_per_second"] > 0
        assert found["seconds_left"] > 0
        assert client.post("/studies/small/cancel").status_code == 409
        assert client.delete("/studies/small").status_code == 409
        assert client.post("/studies", params={"extend": True}, json=spec()).status_code == 409
        store.release(held)
        assert client.get("/studies/small").json()["state"] == "cancelled"
        assert client.post("/studies/small/resume").json()["state"] == "queued"


def test_a_study_whose_spec_was_never_stored_is_not_resumed(service: Live) -> None:
    service.store.register("small")
    with service.client() as client:
        answer = client.post("/studies/small/resume")
        assert (answer.status_code, client.get("/studies/small").json()["state"]) == (409, "cancelled")
        assert "submit that again, with extend=true" in answer.json()["detail"]
        assert client.post("/studies", params={"extend": True}, json=spec()).json()["state"] == "queued"


def test_an_unchanged_study_is_304_and_any_change_is_not(service: Live) -> None:
    store, claims = service.store, Claims(service.store, 3_600)
    with service.client() as client:
        tags = [client.post("/studies", json=spec()).headers["etag"]]

        def changed() -> bool:
            answer = client.get("/studies/small", headers={"if-none-match": tags[-1]})
            tags.append(answer.headers["etag"])
            again = client.get("/studies/small", headers={"if-none-match": f'"x", {tags[-1]}'})
            assert (again.status_code, again.content) == (304, b"")
            return answer.status_code == 200

        assert not changed()
        claim = claims.take()
        assert claim is not None
        assert changed()
        save(store)
        assert changed()
        held = store.acquire(claim.study_id)
        store.finish(held, [record(trial) for trial in trials()])
        store.release(held)
        assert changed()
        claims.finish(claim, StudyState.COMPLETE)
        assert changed()
        assert not changed()
        for path in ("", "/small/cells", "/small/trials", "/small/metrics", "/small/table", "/small/report"):
            tag = client.get(f"/studies{path}").headers["etag"]
            assert client.get(f"/studies{path}", headers={"if-none-match": tag}).status_code == 304
