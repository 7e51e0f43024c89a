"""Answers: bytes with the hash of themselves, so that what did not change is not sent again."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.responses import Response

from robustness.service.schemas import Problems

__all__ = ["REFUSALS", "Answer", "as_json", "documented", "finite", "send"]

REFUSALS = {
    400: "not a Host of this service",
    401: "no token",
    403: "a page of another site, or a token that may only read",
    404: "no such study, trial or page",
    409: "the study's state does not allow it",
    413: "the body is too long",
    415: "neither JSON nor TOML",
    422: "a field or parameter breaks a rule; `problems` has the path of each",
    429: "too many studies of this token wait",
    503: "the store cannot be used",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A body, its kind, and its strong ETag."""

    body: bytes
    media: str
    etag: str
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, body: bytes | str, media: str, headers: dict[str, str] | None = None) -> Answer:
        """With the ETag that its bytes give."""
        plain = body.encode() if isinstance(body, str) else body
        return cls(
            plain, media, f'"{hashlib.sha256(plain).hexdigest()[:32]}"', tuple((headers or {}).items())
        )


def as_json(plain: Any) -> Answer:
    """JSON in which NaN and infinities are null."""
    text = json.dumps(finite(plain), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Answer.of(text, "application/json")


def finite(plain: Any) -> Any:
    """A copy for JSON, which has no NaN and no infinities."""
    if isinstance(plain, dict):
        return {key: finite(value) for key, value in plain.items()}
    if isinstance(plain, (list, tuple)):
        return [finite(value) for value in plain]
    if isinstance(plain, float) and not math.isfinite(plain):
        return None
    return plain


def send(request: Request, answer: Answer) -> Response:
    """The answer, or 304 where the client has it."""
    headers = {"etag": answer.etag, "cache-control": "private, no-cache", **dict(answer.headers)}
    asked = request.headers.get("if-none-match")
    if asked is not None:
        known = [tag.strip().removeprefix("W/") for tag in asked.split(",")]
        if "*" in known or answer.etag in known:
            return Response(None, 304, headers)
    return Response(answer.body, 200, headers, answer.media)


def documented(*codes: int, etag: bool = False, media: dict[str, str] | None = None) -> dict[int | str, Any]:
    """Of a route's description: its refusals, and what a 200 is where that is not JSON."""
    found: dict[int | str, Any] = {
        code: {"model": Problems, "description": REFUSALS[code]}
        for code in sorted({400, 401, 403, 503, *codes})
    }
    if etag:
        tag = {"ETag": {"description": "of exactly these bytes", "schema": {"type": "string"}}}
        found[304] = {"description": "If-None-Match has the ETag of what would be sent", "headers": tag}
        found[200] = {"headers": tag}
    if media is not None:
        content = {kind: {"schema": {"type": "string", "format": form}} for kind, form in media.items()}
        found[200] = {**found.get(200, {}), "content": content}
    return found
