"""The login page: a form, a cookie, no script."""

from __future__ import annotations

import html
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from robustness.service.tokens import SESSION_SECONDS, Tokens

__all__ = ["COOKIE", "LOGIN", "login_page", "login_router"]

COOKIE = "robustness_session"
LOGIN = "/login"

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Log in: robustness</title>
<h1>Robustness studies</h1>
<p>This service shows its studies to whoever has its token. <code>robustness serve</code> said where it is.</p>
{alert}
<form method="post" action="/login">
<input type="hidden" name="next" value="{next}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Log in</button>
</form>
</html>
"""


def login_page(after: str = "/", alert: str = "") -> str:
    """The page; `after` is where the form leads."""
    shown = f'<p role="alert">{html.escape(alert)}</p>' if alert else ""
    return _PAGE.format(next=html.escape(_local(after)), alert=shown)


def _local(path: str) -> str:
    """A path of this site; what begins with two slashes of either kind is another site to a browser."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain and not path.startswith((LOGIN, "/logout")) and "\\" not in path else "/"


def login_router(tokens: Tokens) -> APIRouter:
    """GET and POST /login, POST /logout; none of them in the API's description."""
    router = APIRouter(include_in_schema=False)

    @router.get(LOGIN)
    def show(next: str = "/") -> HTMLResponse:  # noqa: A002  the field's name in a URL
        return HTMLResponse(login_page(next))

    @router.post(LOGIN)
    async def log_in(request: Request) -> Response:
        try:
            fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
        except ValueError:  # more fields
            fields = {}
        after = _local(fields.get("next", ["/"])[0])
        token = tokens.find(fields.get("token", [""])[0].strip())
        if token is None:
            return HTMLResponse(login_page(after, "That is not a token of this service."), 401)
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

    @router.post("/logout")
    def log_out() -> Response:
        answer = RedirectResponse(LOGIN, 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return router
