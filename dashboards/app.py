"""The pages as one Dash application, mounted beside the API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State, dcc, html
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from robustness.service import Reader, Settings

from . import compare, new_study, studies, study
from .addresses import COMPARE, NEW, STUDIES, study_named
from .parts import aria
from .sections import Sections

__all__ = ["READING_POSTS", "add_pages"]

READING_POSTS = ("/_dash-update-component",)
"""What pages ask the server by POST and changes nothing; a read-only token may send it."""

_ASSETS = Path(__file__).parent / "assets"
_FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<title>{%title%}</title>
{%favicon%}
{%css%}
</head>
<body>
{%app_entry%}
<footer>
{%config%}
{%scripts%}
{%renderer%}
</footer>
</body>
</html>"""


class _Assets(StaticFiles):
    """Files that a browser may keep: their addresses change with them."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        answer = super().file_response(*args, **kwargs)
        answer.headers["cache-control"] = "private, max-age=31536000, immutable"
        return answer


def add_pages(app: FastAPI) -> None:
    """Add the pages to a service that has its API.

    Args:
        app: of `service.create_app`; its access must let `READING_POSTS` through for read-only tokens.
    """
    reader, settings = app.state.reader, app.state.settings
    pages = _pages(reader, settings)
    # Plotly and Dash write styles of their own; scripts are ours or known by their hashes.
    policy = (
        f"default-src 'none'; script-src 'self' {' '.join(pages.csp_hashes())}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    app.mount("/assets", GZipMiddleware(_Assets(directory=_ASSETS)))
    app.mount("/", GZipMiddleware(_AtEveryAddress(pages.server, policy)))


class _AtEveryAddress:
    """Dash's one page at each address that has a page, and nothing at others."""

    def __init__(self, server: ASGIApp, policy: str) -> None:
        self._server = server
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_page(scope["path"]):
            scope = {**scope, "path": "/", "raw_path": b"/"}
            send = self._with_policy(send)
        await self._server(scope, receive, send)

    def _with_policy(self, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                header = (b"content-security-policy", self._policy.encode())
                message = {**message, "headers": [*message["headers"], header]}
            await send(message)

        return sent


def _is_page(path: str) -> bool:
    return path in (STUDIES, COMPARE, NEW) or study_named(path) is not None


def _pages(reader: Reader, settings: Settings) -> dash.Dash:
    pages = dash.Dash(
        __name__,
        backend="fastapi",
        title="Robustness studies",
        update_title="",
        assets_folder=str(_ASSETS),
        index_string=_FRAME,
        suppress_callback_exceptions=True,  # a page's callbacks are there before the page is
        add_log_handler=False,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    pages.layout = html.Div(
        [
            # Changed by callbacks without loading the page anew.
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="narrow"),
            dcc.Store(id="titled"),
            html.A("Skip to the page", href="#page", className="skip"),
            html.Header(
                [
                    html.A("Robustness studies", href=STUDIES, className="home"),
                    html.Nav(
                        [
                            html.A("Studies", href=STUDIES),
                            html.A("Compare", href=COMPARE),
                            html.A("New study", href=NEW),
                            html.A("API", href="/api/v1/docs"),
                        ],
                        **aria("Pages"),
                    ),
                    html.Button("Log out", id="log-out", className="plain"),
                ]
            ),
            html.Main(html.P("Loading…", className="wait"), id="page", tabIndex=-1),
            html.P(id="said", role="status", className="said"),
        ]
    )
    sections = Sections(pages, reader)
    for part in (studies, study, compare):
        part.add_callbacks(sections)
    new_study.add_callbacks(sections, settings)

    @pages.callback(Output("page", "children"), Input("url", "pathname"), State("url", "search"))
    def route(path: str | None, search: str | None) -> Any:
        return _layout(path or STUDIES, search or "")

    for name, outputs, inputs in (
        ("narrow", Output("narrow", "data"), [Input("url", "pathname")]),
        ("title", Output("titled", "data"), [Input("page", "children")]),
        ("title", Output("titled", "data", allow_duplicate=True), [Input("study-head", "children")]),
        (
            "logOut",
            Output("said", "children", allow_duplicate=True),
            [Input("log-out", "n_clicks")],
        ),
    ):
        pages.clientside_callback(
            ClientsideFunction("robustness", name),
            outputs,
            *inputs,
            prevent_initial_call=outputs.allow_duplicate,
        )
    return pages


def _layout(path: str, search: str) -> Any:
    if path == STUDIES:
        return studies.layout(search)
    if path == COMPARE:
        return compare.layout()
    if path == NEW:
        return new_study.layout()
    name = study_named(path)
    return study.layout(name) if name is not None else html.H1("There is no such page")
