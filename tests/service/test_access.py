"""Nobody without the token reads or changes anything: every route, enumerated from the application itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import WebSocket
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from robustness.errors import SpecError
from robustness.service import Role, Sites, Token, Tokens
from robustness.service.submitting import EXAMPLE_TOML
from robustness.service.tokens import add_token, read_tokens
from robustness.store import Store, open_store
from tests.service.live import READ, WRITE, Live, fill, live
from tests.waiting import PATIENCE

OPEN = {("GET", "/api/v1/health"), ("GET", "/login"), ("POST", "/login")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A service with a websocket and with pages mounted on it, as the dashboards will be."""
    folder = tmp_path_factory.mktemp("site")
    with open_store(str(folder / "store.db"), create=True) as store:
        fill(store)
        with live(store, folder) as found:

            @found.app.websocket("/live")
            async def echo(websocket: WebSocket) -> None:
                await websocket.accept()
                await websocket.send_text("in")
                await websocket.close()

            pages = Starlette(routes=[Route("/ui/page", lambda _: PlainTextResponse("a page"))])
            found.app.mount("/", pages)
            yield found


def routes(found: Live) -> set[tuple[str, str]]:
    """Every method and path: what the description lists, what it leaves out, what is mounted, what is not there."""

    def below(items: Any, prefix: str) -> Iterator[tuple[str, str]]:
        for item in items:
            context = getattr(item, "include_context", None)
            own = prefix + (context.prefix if context is not None else "")
            inner = getattr(getattr(item, "original_router", item), "routes", None)
            if getattr(item, "methods", None):
                for method in item.methods:
                    yield method, prefix + item.path
            elif inner:
                yield from below(inner, own)

    listed = {
        (method.upper(), path)
        for path, operations in found.app.openapi()["paths"].items()
        for method in operations
    }
    return {*listed, *below(found.app.routes, ""), ("GET", "/ui/page"), ("GET", "/nothing"), ("GET", "/")}


def concrete(path: str) -> str:
    for name, value in (("study", "filled"), ("key", "0" * 64), ("name", "heatmap-diverged")):
        path = path.replace(f"{{{name}}}", value)
    return path


def test_the_enumeration_finds_what_is_there(site: Live) -> None:
    found = routes(site)
    assert {("POST", "/api/v1/studies"), ("DELETE", "/api/v1/studies/{study}"), ("POST", "/logout")} <= found
    assert ("GET", "/api/v1/docs") in found
    assert len(found) >= 20


def test_without_a_token_every_route_but_login_and_health_is_401(site: Live) -> None:
    with httpx.Client(base_url=site.url) as client:
        for method, path in sorted(routes(site)):
            if (method, path) == ("POST", "/login"):  # 401 too, of its own: no token is in the form
                continue
            answer = client.request(method, concrete(path))
            assert (answer.status_code == 401) == ((method, path) not in OPEN), (method, path, answer)
            if answer.status_code == 401:
                assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "given",
    ["Bearer wrong", f"Bearer {WRITE.secret}x", f"Basic {WRITE.secret}", "Bearer", "", f"Bearer {WRITE.id}"],
)
def test_a_wrong_token_is_401_whatever_the_cookie(given: str, site: Live) -> None:
    headers = {"authorization": given, "cookie": f"robustness_session={WRITE.session()}"}
    assert httpx.get(f"{site.url}/api/v1/studies", headers=headers).status_code == 401


def test_a_wrong_host_is_400_on_every_route_even_with_the_token(site: Live) -> None:
    with site.client() as client:
        for host in (
            "evil.example",
            "127.0.0.1",
            f"localhost:{site.port + 1}",
            f"127.0.0.1.evil:{site.port}",
        ):
            for method, path in sorted(routes(site)):
                answer = client.request(method, f"{site.url}{concrete(path)}", headers={"host": host})
                assert answer.status_code == 400, (host, method, path)
        assert client.get("/studies", headers={"host": f"LOCALHOST:{site.port}"}).status_code == 200


def test_a_foreign_origin_is_403_on_every_unsafe_method(site: Live) -> None:
    with site.client() as client:
        for origin in (
            "http://evil.example",
            "null",
            f"https://127.0.0.1:{site.port}",
            f"http://localhost:{site.port}",
        ):
            for path in {path for _, path in routes(site)}:
                for method in ("POST", "PUT", "PATCH", "DELETE"):
                    answer = client.request(method, f"{site.url}{concrete(path)}", headers={"origin": origin})
                    assert answer.status_code == 403, (origin, method, path)


def test_an_origin_of_our_own_and_none_with_a_bearer_token_pass(site: Live) -> None:
    with site.client() as client:
        for headers in ({}, {"origin": site.url}):
            assert client.post("/studies/filled/cancel", headers=headers).status_code == 409


def test_a_read_only_token_reads_everything_and_changes_nothing(site: Live) -> None:
    with site.client(READ) as client:
        for method, path in sorted(routes(site)):
            if (method, path) in OPEN or "figures" in path or path.endswith("/report"):
                continue
            answer = client.request(method, f"{site.url}{concrete(path)}")
            changes = method not in ("GET", "HEAD", "OPTIONS") and path != "/logout"
            assert (answer.status_code == 403) == changes, (method, path)


def test_the_login_page_gives_a_cookie_that_is_no_token(site: Live) -> None:
    with httpx.Client(base_url=site.url, headers={"origin": site.url}) as client:
        asked = client.get("/ui/page?x=1", headers={"accept": "text/html"})
        assert asked.status_code == 401
        assert 'name="token"' in asked.text
        assert 'value="/ui/page?x=1"' in asked.text
        assert client.post("/login", data={"token": "wrong"}).status_code == 401
        entered = client.post("/login", data={"token": WRITE.secret, "next": "/ui/page?x=1"})
        assert (entered.status_code, entered.headers["location"]) == (303, "/ui/page?x=1")
        cookie = entered.headers["set-cookie"]
        assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
        assert WRITE.secret not in cookie
        assert client.get("/ui/page").text == "a page"
        assert client.get("/api/v1/studies").status_code == 200
        assert client.post("/api/v1/studies/filled/cancel").status_code == 409
        client.headers.pop("origin")
        assert client.post("/api/v1/studies/filled/cancel").status_code == 403
        client.post("/logout", headers={"origin": site.url})
        assert client.get("/ui/page").status_code == 401


def test_whoever_may_only_read_can_log_out(site: Live) -> None:
    with httpx.Client(base_url=site.url, headers={"origin": site.url}) as client:
        client.post("/login", data={"token": READ.secret})
        assert client.get("/api/v1/studies").status_code == 200
        assert client.post("/logout").status_code == 303
        assert client.get("/api/v1/studies").status_code == 401


@pytest.mark.parametrize("other", ["x@y=1", 'foo={"a": 1}', "a=b c", "a[b]=1", "novalue"])
def test_a_strange_cookie_of_another_service_hides_ours_from_nobody(other: str, site: Live) -> None:
    with httpx.Client(base_url=site.url) as client:
        client.post("/login", data={"token": WRITE.secret})
        own = client.cookies["robustness_session"]
    answer = httpx.get(
        f"{site.url}/api/v1/studies", headers={"cookie": f"{other}; robustness_session={own}; {other}"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "after", ["//evil.example", "/\\evil.example", "https://evil.example", "/login", "x", ""]
)
def test_the_login_page_leads_nowhere_else(after: str, site: Live) -> None:
    answer = httpx.post(f"{site.url}/login", data={"token": WRITE.secret, "next": after})
    assert answer.headers["location"] == "/"


def test_the_login_page_escapes_where_it_leads(site: Live) -> None:
    page = httpx.get(f"{site.url}/login", params={"next": '/"><script>alert(1)</script>'})
    assert "<script" not in page.text


def test_a_cookie_ends_after_a_week_and_cannot_be_made_up() -> None:
    tokens = Tokens([WRITE, READ])
    session = WRITE.session(now=1_000.0)
    assert tokens.of_session(session, now=1_001.0) is WRITE
    assert tokens.of_session(session, now=1_000.0 + 8 * 24 * 3600) is None
    name, until, proof = session.split(".")
    assert tokens.of_session(f"{name}.{int(until) + 1}.{proof}", now=1_001.0) is None
    assert tokens.of_session(f"{READ.id}.{until}.{proof}", now=1_001.0) is None
    for wrong in ("", ".", "a.b.c", f"{name}.{until}", f"{name}.{until}.é"):
        assert tokens.of_session(wrong, now=1_001.0) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"cookie": "robustness_session=made.9999999999.up"},
        {"cookie": f"robustness_session={WRITE.session()}", "origin": "http://evil.example"},
        {"cookie": f"robustness_session={WRITE.session()}"},
    ],
)
def test_a_websocket_of_a_stranger_is_closed(headers: dict[str, str], site: Live) -> None:
    with (
        pytest.raises((InvalidStatus, ConnectionClosed)),
        connect(f"ws://127.0.0.1:{site.port}/live", additional_headers=headers) as websocket,
    ):
        websocket.recv()


def test_a_websocket_with_the_cookie_and_our_origin_is_let_in(site: Live) -> None:
    headers = {"cookie": f"robustness_session={READ.session()}", "origin": site.url}
    with connect(f"ws://127.0.0.1:{site.port}/live", additional_headers=headers) as websocket:
        assert websocket.recv() == "in"


def test_every_answer_has_a_policy_that_runs_no_script(site: Live) -> None:
    with site.client() as client:
        for path in ("/studies", "/docs", "/nothing", "/studies/filled/table", f"{site.url}/login"):
            policy = client.get(path).headers["content-security-policy"]
            assert policy.startswith("default-src 'none'")
            assert "script-src" not in policy
        for path in ("/studies/filled/report", "/studies/filled/figures/heatmap-diverged"):
            answer = client.get(path)
            assert answer.headers["content-security-policy"].startswith(
                "sandbox allow-scripts; default-src 'none'"
            )
            assert "<img src=x onerror" not in answer.text


def test_the_documentation_asks_for_nothing_elsewhere(site: Live) -> None:
    with site.client() as client:
        text = client.get("/docs").text
    assert "://" not in text
    assert "<script" not in text
    assert "POST /api/v1/studies" in text


def test_a_body_over_the_limit_is_413_whether_it_says_so_or_not(site: Live) -> None:
    long = b"x" * 1_000_001
    with site.client(WRITE, **{"content-type": "application/json"}) as client:
        assert client.post("/studies", content=long).status_code == 413
        parts = (long[i : i + 100_000] for i in range(0, len(long), 100_000))
        assert client.post("/studies", content=parts).status_code == 413


def test_a_body_that_breaks_off_is_not_run_though_what_came_is_a_whole_study(site: Live) -> None:
    lines = [
        "POST /api/v1/studies HTTP/1.1",
        f"Host: 127.0.0.1:{site.port}",
        "Content-Type: application/toml",
    ]
    lines += [f"Authorization: Bearer {WRITE.secret}", "Content-Length: 10000", "", EXAMPLE_TOML]
    with socket.create_connection(("127.0.0.1", site.port)) as raw:
        raw.sendall("\r\n".join(lines).encode())
    with site.client() as client:
        for _ in range(20):
            assert client.get("/studies").json()["total"] == 1


def test_a_store_that_fails_is_503_and_strangers_do_not_learn_where_it_is(
    store: Store, tmp_path: Path
) -> None:
    with live(store, tmp_path) as found, found.client(None) as stranger, found.client() as client:
        with store.writing() as connection:
            connection.execute(sa.text("ALTER TABLE study RENAME TO gone"))
        answer = stranger.get("/health")
        assert (answer.status_code, answer.json()["detail"]) == (503, "the store cannot be used")
        assert "gone" not in answer.text
        assert client.get("/studies").status_code == 503


def test_two_hosts_in_one_request_are_refused(site: Live) -> None:
    head = f"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nHost: evil\r\n\r\n"
    with socket.create_connection(("127.0.0.1", site.port)) as raw:
        raw.sendall(head.encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 400")


def test_a_token_is_made_closed_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROBUSTNESS_TOKEN", raising=False)
    path = tmp_path / "deep" / "tokens"
    with pytest.raises(SpecError, match="no token yet"):
        read_tokens(path, make=False)
    [first], made = read_tokens(path, make=True)
    assert (made, path.stat().st_mode & 0o777, first.role) == (True, 0o600, Role.WRITE)
    added = add_token(path, Role.READ, "grafana")
    assert read_tokens(path, make=True) == ([first, added], False)
    assert first.secret not in repr(first)
    path.chmod(0o640)
    with pytest.raises(SpecError, match="chmod 600"):
        read_tokens(path, make=True)
    monkeypatch.setenv("ROBUSTNESS_TOKEN", "x" * 20)
    [given], made = read_tokens(path, make=True)
    assert (given.secret, made) == ("x" * 20, False)


def test_a_service_beyond_this_machine_needs_a_token_that_was_set(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_TOKEN")}
    options = ["--host", "0.0.0.0", "--port", "0", "--no-worker", "--public-url", "https://lab.example"]
    files = ["--store", str(tmp_path / "store.db"), "--token-file", str(tmp_path / "tokens")]
    command = [sys.executable, "-m", "robustness.cli", "serve", *options, *files]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2, done.stderr
    assert "there is no token yet" in done.stderr
    assert not done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("tokens", [[], [Token("short")], [Token("with spaces in it")], [WRITE, WRITE]])
def test_no_token_a_short_one_or_one_twice_is_refused(tokens: list[Token]) -> None:
    with pytest.raises(SpecError, match="token"):
        Tokens(tokens)


def test_hosts_are_exact_and_a_proxy_is_named() -> None:
    behind = Sites.of("0.0.0.0", 8_000, tls=False, public_urls=["https://lab.example"])
    assert [behind.scheme(host) for host in ("lab.example", "localhost:8000")] == ["https", "http"]
    assert [behind.scheme(host) for host in ("lab.example:8000", "xlab.example", "0.0.0.0:8000")] == [
        None
    ] * 3
    assert behind.is_own("https://lab.example", "lab.example")
    assert not behind.is_own("http://lab.example", "lab.example")
    assert Sites.of("::1", 8_000, tls=False).scheme("[::1]:8000") == "http"
    for host, urls in (("0.0.0.0", []), ("127.0.0.1", ["lab"]), ("127.0.0.1", ["https://a/b"]), ("a b", [])):
        with pytest.raises(SpecError):
            Sites.of(host, 8_000, tls=False, public_urls=urls)
