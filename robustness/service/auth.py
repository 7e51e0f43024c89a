"""Access, as one ASGI layer around everything that is mounted, websockets included.

In this order: a Host that is ours, an Origin that is ours where it matters, a token, a role, a body of bounded size.
Starlette's own middleware never sees websockets, and a route cannot be forgotten that never sees a request.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, HTTPConnection, cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from robustness.service.login import COOKIE, LOGIN, LOGOUT, login_page
from robustness.service.problems import problem
from robustness.service.sites import Sites
from robustness.service.tokens import Role, Token, Tokens

__all__ = ["Access", "AccessLayer", "token_of"]

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Of a response that brings none of its own: text, forms and pictures; no script runs."""
_HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not no-referrer: browsers would then send `Origin: null` with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who gets in.

    Attributes:
        tokens: with what.
        sites: under which names.
        open_paths: exact paths that need no token.
        reading_posts: prefixes of paths whose POSTs only read, so that a read-only token may send them.
        max_body: bytes.
    """

    tokens: Tokens
    sites: Sites
    open_paths: Collection[str] = frozenset({LOGIN, "/api/v1/health"})
    reading_posts: Collection[str] = ()
    max_body: int = 1_000_000


def token_of(connection: HTTPConnection) -> Token:
    """The token that a request came with; of any request that got in, but for those to open paths."""
    found: Token = connection.scope["state"]["token"]
    return found


class AccessLayer:
    """The layer around an application."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        """Let only those through to `app` whom `access` lets in."""
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let it through."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        closed = self._refusal(connection)
        if scope["type"] == "websocket":
            if closed is not None:
                await receive()  # "websocket.connect"
                await send({"type": "websocket.close", "code": 1008, "reason": ""})
                return
            await self._app(scope, receive, send)
            return
        send = self._with_headers(scope, send)
        if closed is None and scope["method"] not in SAFE:
            try:
                body = await _bounded(connection, receive, self._access.max_body)
            except ClientDisconnect:
                return  # nobody is there to be answered
            if body is None:
                closed = problem(
                    413,
                    f"a body has at most {self._access.max_body:,} bytes",
                    headers={"connection": "close"},
                )
            else:
                receive = _replayed(body, receive)
        await (self._app if closed is None else closed)(scope, receive, send)

    def _refusal(self, connection: HTTPConnection) -> Response | None:
        """What is answered instead; None lets it through."""
        hosts = connection.headers.getlist("host")
        if len(hosts) != 1 or self._access.sites.scheme(hosts[0]) is None:
            return problem(400, f"this service is not known as {', '.join(hosts)!r:.200}; see --public-url")
        scope = connection.scope
        unsafe = scope["type"] == "websocket" or scope["method"] not in SAFE
        token, by_cookie = self._token(connection)
        origins = connection.headers.getlist("origin")
        if unsafe and origins and not (len(origins) == 1 and self._access.sites.is_own(origins[0], hosts[0])):
            return problem(403, "the request comes from a page of another site (Origin)")
        scope.setdefault("state", {})["token"] = token
        scope["state"]["secure"] = self._access.sites.scheme(hosts[0]) == "https"
        if scope["path"] in self._access.open_paths and scope["type"] == "http":
            return None
        if token is None:
            return self._stranger(connection)
        if unsafe and by_cookie and not origins:
            # Every browser sends it; what does not is no browser and can send the token itself.
            return problem(403, "a request that changes something and has a cookie needs an Origin")
        if unsafe and token.role is Role.READ and not self._only_reads(scope):
            return problem(403, "this token may only read")
        return None

    def _only_reads(self, scope: Scope) -> bool:
        if scope["type"] == "websocket":
            return True
        path: str = scope["path"]
        # Whoever logs out changes only what his own browser keeps.
        reads = path == LOGOUT or path.startswith(tuple(self._access.reading_posts))
        return scope["method"] == "POST" and reads

    def _token(self, connection: HTTPConnection) -> tuple[Token | None, bool]:
        """Whose request it is, and whether a cookie says so."""
        given = connection.headers.get("authorization")
        if given is not None:
            kind, _, secret = given.partition(" ")
            return (self._access.tokens.find(secret.strip()) if kind.lower() == "bearer" else None), False
        # Not connection.cookies, nor http.cookies: the first odd cookie of another site of this host would hide ours.
        session = cookie_parser(connection.headers.get("cookie", "")).get(COOKIE)
        found = self._access.tokens.of_session(session) if session is not None else None
        return found, found is not None

    def _stranger(self, connection: HTTPConnection) -> Response:
        scope = connection.scope
        challenge = {"www-authenticate": 'Bearer realm="robustness"'}
        wants_page = scope["type"] == "http" and "text/html" in connection.headers.get("accept", "")
        if wants_page and scope["method"] == "GET" and not scope["path"].startswith("/api/"):
            query = scope["query_string"].decode("latin-1")
            after = scope["path"] + (f"?{query}" if query else "")
            return login_page(after, status=401, headers=challenge)
        return problem(401, "a token is required: Authorization: Bearer TOKEN", headers=challenge)

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                more = [(k.encode(), v.encode()) for k, v in _HEADERS.items() if k.encode() not in present]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        return wrapped


async def _bounded(connection: HTTPConnection, receive: Receive, most: int) -> bytes | None:
    """The whole body; None where it is longer, and the rest is not read.

    Raises:
        ClientDisconnect: it broke off. A part of a TOML file is a TOML file, and must not be run.
    """
    stated = connection.headers.get("content-length", "")
    if re.fullmatch(r"[0-9]+", stated) and (len(stated) > 15 or int(stated) > most):
        return None
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            return None
        more = message.get("more_body", False)
    return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
