"""Routes of studies: submit, list, look, cancel, resume, delete."""

from __future__ import annotations

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from robustness.service.answers import as_json, documented, send
from robustness.service.auth import token_of
from robustness.service.reading import Reader
from robustness.service.schemas import Page, StudyRow, StudySummary
from robustness.service.settings import Settings
from robustness.service.submitting import body_schema, order_of
from robustness.store import StudyState

__all__ = ["Limit", "Offset", "StudyId", "studies_router"]

StudyId = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="a study's name", examples=["quickstart"])
]
Limit = Annotated[int, Query(ge=1, le=500, description="rows of this page")]
Offset = Annotated[int, Query(ge=0, le=1_000_000_000, description="rows before this page")]


def studies_router(reader: Reader, settings: Settings) -> APIRouter:
    """Of what this reader sees."""
    router = APIRouter(prefix="/studies", tags=["studies"])
    queue = reader.queue

    @router.post(
        "",
        status_code=201,
        response_model=StudySummary,
        responses=documented(409, 413, 415, 422, 429),
        openapi_extra=body_schema(),
    )
    async def submit(
        request: Request,
        extend: Annotated[
            bool, Query(description="run the spec in place of that of a stopped study of this name")
        ] = False,
        idempotency_key: Annotated[
            str | None,
            Header(
                pattern=r"^[!-~]{1,255}$",
                description="the same key with the same body submits once, however often it is sent",
            ),
        ] = None,
    ) -> Response:
        """Queue a study: the bare spec. What other studies have trained already is not trained again."""
        body = await request.body()

        def work() -> Response:
            kind = request.headers.get("content-type", "")
            owner = token_of(request).id
            order = order_of(body, kind, settings, owner=owner, key=idempotency_key, extend=extend)
            _, repeated = queue.submit(order, limit=settings.max_queued)
            answer = reader.summary(order.name)
            headers = {"location": f"{request.url.path}/{order.name}", "etag": answer.etag}
            if repeated:
                headers["idempotency-replayed"] = "true"
            return Response(answer.body, 201, headers, answer.media)

        return await anyio.to_thread.run_sync(work)

    @router.get("", response_model=Page[StudyRow], responses=documented(422, etag=True))
    def find(
        request: Request,
        state: Annotated[list[StudyState] | None, Query(description="only these")] = None,
        q: Annotated[str, Query(max_length=200, description="part of the name or title")] = "",
        limit: Limit = 50,
        offset: Offset = 0,
    ) -> Response:
        """List studies by name."""
        found = reader.named(q)
        if state is None:  # counts, which take longer, of this page alone
            rows = [reader.row(standing) for standing in found[offset : offset + limit]]
            total = len(found)
        else:
            kept = [row for row in map(reader.row, found) if row["state"] in state]
            rows, total = kept[offset : offset + limit], len(kept)
        return send(request, as_json({"items": rows, "total": total, "limit": limit, "offset": offset}))

    @router.get("/{study}", response_model=StudySummary, responses=documented(404, 422, etag=True))
    def look(request: Request, study: StudyId) -> Response:
        """One study: its state, how far it is, and warnings. An unchanged one costs a short query."""
        return send(request, reader.summary(study))

    @router.post(
        "/{study}/cancel", status_code=202, response_model=StudySummary, responses=documented(404, 409, 422)
    )
    def cancel(study: StudyId) -> Response:
        """Take it out of the queue, or ask its worker to stop it; what is finished stays."""
        queue.cancel(study)
        return _accepted(study)

    @router.post(
        "/{study}/resume",
        status_code=202,
        response_model=StudySummary,
        responses=documented(404, 409, 422, 429),
    )
    def resume(request: Request, study: StudyId) -> Response:
        """Queue a cancelled or failed study again; what is complete is not run again."""
        queue.resume(study, token_of(request).id, limit=settings.max_queued)
        return _accepted(study)

    @router.delete("/{study}", status_code=204, responses=documented(404, 409, 422))
    def delete(study: StudyId) -> Response:
        """Remove a stopped study, and its trials but for those that other studies have too."""
        standing = queue.of(study)
        queue.delete(study)
        reader.forget(standing)
        return Response(None, 204)

    def _accepted(study: str) -> Response:
        answer = reader.summary(study)
        return Response(answer.body, 202, {"etag": answer.etag}, answer.media)

    return router
