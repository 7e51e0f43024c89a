"""The application: `/api/v1`, the login page, and one layer of access around all that is mounted on it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from robustness.service.auth import Access, AccessLayer
from robustness.service.login import login_router
from robustness.service.meta import meta_router
from robustness.service.problems import add_handlers
from robustness.service.reading import Reader
from robustness.service.results import results_router
from robustness.service.settings import Settings
from robustness.service.studies import studies_router
from robustness.service.submitting import extra_components
from robustness.store import Store

__all__ = ["API", "create_app"]

API = "/api/v1"


def create_app(store: Store, access: Access, settings: Settings) -> FastAPI:
    """The service of a store.

    Pages are mounted on it afterwards (`app.mount("/", pages)`), and are behind the same access: their requests and
    websockets without a token never reach them. `app.state.reader` and `app.state.settings` are what routes use.

    Args:
        store: open; closed by whoever opened it.
        access: who gets in; with the reading posts of pages that are mounted.
        settings: limits, and where the data sets are.
    """
    app = FastAPI(
        title="Robustness studies",
        version=version("robustness-study"),
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
        openapi_url=f"{API}/openapi.json",
        redirect_slashes=False,
    )
    app.state.reader = reader = Reader(store)
    app.state.settings = settings
    for router in (studies_router(reader, settings), results_router(reader), meta_router(reader)):
        app.include_router(router, prefix=API)
    app.include_router(login_router(access.tokens))
    add_handlers(app)
    app.add_middleware(AccessLayer, access=access)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description, with the token and the parts of a spec's frame."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title,
            version=app.version,
            routes=app.routes,
            description="Submit hyperparameter-robustness studies, watch them, read their results.",
        )
        parts = found["components"]
        parts["schemas"] = {**extra_components(), **parts["schemas"]}
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
        found["paths"][f"{API}/health"]["get"]["security"] = []
        app.openapi_schema = found
    return app.openapi_schema
