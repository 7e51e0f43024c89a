"""Routes about the service itself: schema of specs, health, figures for Prometheus, the description and its page."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections import Counter
from typing import Any

from fastapi import APIRouter, Request
from jinja2 import Environment, PackageLoader
from starlette.responses import HTMLResponse, Response

from robustness.errors import StoreError
from robustness.service.answers import REFUSALS, as_json, documented, send
from robustness.service.problems import problem
from robustness.service.reading import Reader
from robustness.service.schemas import Health
from robustness.spec import json_schema
from robustness.store import StudyState
from robustness.store.activity import answers
from robustness.trial import TrialState

__all__ = ["meta_router"]

log = logging.getLogger(__name__)


def meta_router(reader: Reader) -> APIRouter:
    """Of what this reader sees."""
    router = APIRouter(tags=["service"])
    schema = as_json(json_schema())

    @router.get("/schema", response_model=dict[str, Any], responses=documented(etag=True))
    def study_schema(request: Request) -> Response:
        """The JSON Schema of a study, with every data set, model, optimizer and initialization."""
        return send(request, schema)

    @router.get("/health", response_model=Health, responses=documented())
    def health() -> Response:
        """Whether the service and its store answer; needs no token."""
        try:
            answers(reader.store)
        except StoreError as error:
            log.error("%s", error)
            return problem(503, REFUSALS[503])  # where the store is, is nothing for strangers
        return Response(as_json({"status": "ok"}).body, media_type="application/json")

    @router.get(
        "/prometheus",
        response_class=Response,
        responses=documented(media={"text/plain": "text"}),
    )
    def prometheus() -> Response:
        """Studies and trials by state, in Prometheus' text format."""
        return Response(_exposition(reader), media_type="text/plain; version=0.0.4; charset=utf-8")

    @router.get("/docs", include_in_schema=False)
    def docs(request: Request) -> HTMLResponse:
        """The description as a page: no script, nothing from elsewhere."""
        environment = Environment(
            loader=PackageLoader("robustness.service", "."),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        style = environment.get_template("docs.css.j2").render()
        page = environment.get_template("docs.html.j2")
        # A policy knows inline styles by their hash.
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'"
        text = page.render(api=request.app.openapi(), style=style)
        return HTMLResponse(text, headers={"content-security-policy": policy})

    return router


def _exposition(reader: Reader) -> str:
    rows = [reader.row(standing) for standing in reader.queue.all()]
    states = Counter(row["state"] for row in rows)
    trials: Counter[str] = Counter()
    for row in rows:
        trials.update(row["counts"])
    rate = sum(row["trials_per_second"] or 0.0 for row in rows)
    lines = ["# HELP robustness_studies Studies by state.", "# TYPE robustness_studies gauge"]
    lines += [f'robustness_studies{{state="{state.value}"}} {states[state.value]}' for state in StudyState]
    lines += ["# HELP robustness_trials Trials of all studies by state.", "# TYPE robustness_trials gauge"]
    lines += [f'robustness_trials{{state="{state.value}"}} {trials[state.value]}' for state in TrialState]
    lines += [
        "# HELP robustness_trials_per_second Rate of the studies that run.",
        "# TYPE robustness_trials_per_second gauge",
        f"robustness_trials_per_second {rate:.6g}",
    ]
    return "\n".join(lines) + "\n"
