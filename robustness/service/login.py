"""The login page: a form, a cookie, no script."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Mapping
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from robustness.service.tokens import SESSION_SECONDS, Tokens

__all__ = ["COOKIE", "LOGIN", "LOGOUT", "login_page", "login_router"]

COOKIE = "robustness_session"
LOGIN, LOGOUT = "/login", "/logout"

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, "Liberation Sans", sans-serif; max-width: 30rem; margin: 15vh auto 0; padding: 0 1rem; }
h1 { font-size: 1.5rem; }
label { display: block; }
input, button { font: inherit; padding: 0.3rem 0.7rem; border: 1px solid; border-radius: 4px; }
input { width: 100%; box-sizing: border-box; margin: 0.2rem 0 0.8rem; }
[role="alert"] { border-left: 3px solid; padding-left: 0.8rem; }
"""
# A policy knows inline styles by their hash.
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Log in: robustness</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<main>
<h1>Robustness studies</h1>
<p>This service shows its studies to whoever has its token. <code>robustness serve</code> said where it is.</p>
{alert}
<form method="post" action="/login">
<input type="hidden" name="next" value="{next}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Log in</button>
</form>
</main>
</body>
</html>
"""


def login_page(
    after: str = "/", alert: str = "", status: int = 200, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """The page; `after` is where the form leads."""
    shown = f'<p role="alert">{html.escape(alert)}</p>' if alert else ""
    page = _PAGE.format(style=_STYLE, next=html.escape(_local(after)), alert=shown)
    return HTMLResponse(page, status, {"content-security-policy": _POLICY, **(headers or {})})


def _local(path: str) -> str:
    """A path of this site; what begins with two slashes of either kind is another site to a browser."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain and not path.startswith((LOGIN, LOGOUT)) and "\\" not in path else "/"


def login_router(tokens: Tokens) -> APIRouter:
    """GET and POST /login, POST /logout; none of them in the API's description."""
    router = APIRouter(include_in_schema=False)

    @router.get(LOGIN)
    def show(next: str = "/") -> HTMLResponse:  # noqa: A002  the field's name in a URL
        return login_page(next)

    @router.post(LOGIN)
    async def log_in(request: Request) -> Response:
        try:
            fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
        except ValueError:  # more fields
            fields = {}
        after = _local(fields.get("next", ["/"])[0])
        token = tokens.find(fields.get("token", [""])[0].strip())
        if token is None:
            return login_page(after, "That is not a token of this service.", 401)
        answer = RedirectResponse(after, 303)
        answer.set_cookie(
            COOKIE,
            token.session(),
            max_age=int(SESSION_SECONDS),
            httponly=True,
            samesite="strict",
            secure=request.scope["state"]["secure"],
        )
        return answer

    @router.post(LOGOUT)
    def log_out() -> Response:
        answer = RedirectResponse(LOGIN, 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return router
