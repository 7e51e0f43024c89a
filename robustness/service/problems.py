"""Errors as JSON: `detail` for people, `problems` with the path of each field for programs."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from robustness.errors import (
    LeaseHeld,
    QueueFull,
    RobustnessError,
    SpecError,
    StoreError,
    StoreMissing,
    StudyBusy,
)

__all__ = ["add_handlers", "problem"]

_STATUS: tuple[tuple[type[RobustnessError], int], ...] = (
    (SpecError, 422),
    (StoreMissing, 404),
    (StudyBusy, 409),
    (LeaseHeld, 409),
    (QueueFull, 429),
    (StoreError, 503),
)
MOST = 200
"""Problems that an answer lists."""

log = logging.getLogger(__name__)


def problem(
    status: int,
    detail: str,
    problems: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error as JSON."""
    body = json.dumps({"detail": detail, "problems": problems or []}, ensure_ascii=False)
    # A lone surrogate, which JSON's escapes allow, has no UTF-8.
    plain = body.encode("utf-8", "backslashreplace")
    return Response(plain, status, dict(headers or {}), "application/json")


def add_handlers(app: FastAPI) -> None:
    """Answer every error in one shape; none of them is a traceback."""
    app.add_exception_handler(RobustnessError, _own)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def _own(_: Request, error: Exception) -> Response:
    assert isinstance(error, RobustnessError)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if status >= 500:
        log.error("%s", error)
    found = error.problems[:MOST] if isinstance(error, SpecError) else ()
    return problem(status, str(error), [{"path": p.path, "message": p.message} for p in found])


def _invalid(_: Request, error: Exception) -> Response:
    # FastAPI's own answer echoes the input, and fails where that is NaN.
    assert isinstance(error, RequestValidationError)
    found = [_field(detail) for detail in error.errors()[:MOST]]
    return problem(422, "; ".join(f"{p['path']}: {p['message']}" for p in found), found)


def _field(detail: Mapping[str, Any]) -> dict[str, str]:
    path = ".".join(str(step) for step in detail["loc"][1:]) or str(detail["loc"][0])
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    message = message if message.startswith("must") else f"must be {message}"
    return {"path": path, "message": f"{message}, got {detail['input']!r:.80}"}


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=error.headers)
