"""Routes of results: cells, trials, epochs, metrics, tables, figures, the report."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Annotated, Literal

import anyio
import anyio.to_thread
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from robustness.figures.gallery import FIGURES
from robustness.service import rendering, rows
from robustness.service.answers import Answer, as_json, documented, send
from robustness.service.reading import Reader
from robustness.service.schemas import CellRow, EpochRow, Metric, Page, TrialRow
from robustness.service.studies import Limit, Offset, StudyId
from robustness.store import Standing
from robustness.store.trial_frames import read_trial_epochs
from robustness.summary import METRICS, Delta, Study
from robustness.summary.rows import check_metrics
from robustness.trial import TrialState

__all__ = ["results_router"]

HEAVY = 2
"""Requests that have a thread to compute in; others wait without one, and what is kept passes them."""

Label = Annotated[str | None, Query(max_length=200, description="only this label")]
TableFormat = Literal["html", "markdown", "latex", "csv"]
FigureFormat = Literal["html", "json", "svg", "png", "pdf", "csv"]


def results_router(reader: Reader) -> APIRouter:
    """Of what this reader sees."""
    router = APIRouter(prefix="/studies/{study}", tags=["results"])
    limiter = anyio.CapacityLimiter(HEAVY)

    async def computed(
        request: Request, name: str, what: Hashable, make: Callable[[Study, Standing], Answer]
    ) -> Response:
        answer = await anyio.to_thread.run_sync(reader.kept, name, what)
        if answer is None:
            answer = await anyio.to_thread.run_sync(reader.answer, name, what, make, limiter=limiter)
        return send(request, answer)

    @router.get("/cells", response_model=Page[CellRow], responses=documented(404, 422, etag=True))
    async def cells(
        request: Request,
        study: StudyId,
        task: Label = None,
        optimizer: Label = None,
        init: Label = None,
        limit: Limit = 500,
        offset: Offset = 0,
    ) -> Response:
        """The squares of its heatmaps, in the order of the spec; those with nothing complete have n = 0."""
        chosen = rows.Labels(task=task, optimizer=optimizer, init=init)
        return await computed(
            request,
            study,
            ("cells", chosen, limit, offset),
            lambda found, _: as_json(rows.cells(found, chosen, limit, offset)),
        )

    @router.get("/trials", response_model=Page[TrialRow], responses=documented(404, 422, etag=True))
    async def trials(
        request: Request,
        study: StudyId,
        task: Label = None,
        optimizer: Label = None,
        init: Label = None,
        lr: Annotated[float | None, Query(gt=0, description="met to three digits, as it is written")] = None,
        state: Annotated[list[TrialState] | None, Query(description="only these")] = None,
        outcome: Annotated[
            list[rows.OutcomeName] | None, Query(description="only these, of complete trials")
        ] = None,
        sort: Annotated[rows.SortKey, Query(description="a column")] = "position",
        descending: bool = False,
        limit: Limit = 50,
        offset: Offset = 0,
    ) -> Response:
        """Its trials, one row each; rows without the column that sorts come last."""
        wanted = rows.TrialQuery(
            labels=rows.Labels(task=task, optimizer=optimizer, init=init),
            lr=lr,
            states=tuple(state or ()),
            outcomes=tuple(outcome or ()),
            sort=sort,
            descending=descending,
            limit=limit,
            offset=offset,
        )
        return await computed(
            request,
            study,
            wanted,
            lambda found, _: as_json(rows.trials(reader.store, found, wanted)),
        )

    @router.get(
        "/trials/{key}/epochs", response_model=list[EpochRow], responses=documented(404, 422, etag=True)
    )
    def epochs(
        request: Request,
        study: StudyId,
        key: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="of a trial of this study")],
    ) -> Response:
        """The learning curve of a trial: the epoch in which it dies is its last, null where not finite."""
        standing = reader.queue.of(study)
        return send(request, as_json(read_trial_epochs(reader.store, standing.id, key)))

    @router.get("/metrics", response_model=list[Metric], responses=documented(404, 422, etag=True))
    async def metrics(
        request: Request,
        study: StudyId,
        metric: Annotated[
            list[str] | None, Query(max_length=50, description=f"of {', '.join(METRICS)}; all by default")
        ] = None,
        delta: Annotated[
            str, Query(max_length=40, description="how far below the best a window reaches: 0.02, or 5%")
        ] = "5%",
    ) -> Response:
        """Every robustness metric with its 95 % interval by whole seeds."""
        names = list(dict.fromkeys(metric or []))
        check_metrics(names)
        width = Delta.parse(delta)
        return await computed(
            request,
            study,
            ("metrics", tuple(names), width),
            lambda found, _: as_json(rows.metrics(found, names, width)),
        )

    @router.get(
        "/table",
        response_class=Response,
        responses=documented(404, 422, etag=True, media=rendering.TABLE_MEDIA),
    )
    async def table(
        request: Request,
        study: StudyId,
        format: Annotated[TableFormat, Query(description="csv has a row for each cell")] = "html",  # noqa: A002
    ) -> Response:
        """Its paper-style table."""
        return await computed(
            request, study, ("table", format), lambda found, _: rendering.table(found, format)
        )

    @router.get(
        "/figures/{name}",
        response_class=Response,
        responses=documented(404, 422, etag=True, media=rendering.FIGURE_MEDIA),
    )
    async def figure(
        request: Request,
        study: StudyId,
        name: Annotated[
            str, Path(max_length=80, description=", ".join(FIGURES), examples=["heatmap-diverged"])
        ],
        format: Annotated[  # noqa: A002
            FigureFormat, Query(description="svg, png and pdf need a Chromium on the server")
        ] = "html",
        task: Annotated[
            str | None, Query(max_length=200, description="a label; the first by default")
        ] = None,
        a: Annotated[str | None, Query(max_length=200, description="of a pair: an optimizer's label")] = None,
        b: Annotated[str | None, Query(max_length=200, description="of a pair: another's")] = None,
        cell: Annotated[
            str | None, Query(max_length=400, description="optimizer,lr,init; the most telling by default")
        ] = None,
        size: Annotated[Literal["page", "column"], Query(description="column: 3.4 inch wide")] = "page",
    ) -> Response:
        """A figure of one of its tasks; json is plotly's, csv its numbers."""
        asked = rendering.FigureQuery(name=name, format=format, task=task, a=a, b=b, cell=cell, size=size)
        return await computed(
            request, study, asked, lambda found, _: rendering.figure(found, reader.store, asked)
        )

    @router.get(
        "/report",
        response_class=Response,
        responses=documented(404, 422, etag=True, media={"text/html": "html"}),
    )
    async def report(request: Request, study: StudyId) -> Response:
        """Its report: one HTML file that opens offline."""
        return await computed(
            request, study, "report", lambda found, _: rendering.report(found, reader.store)
        )

    return router
