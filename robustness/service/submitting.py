"""From a request's body to an order: the same rules, and the same paths, as the command line."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException

from robustness.errors import SpecError
from robustness.service.settings import Settings
from robustness.spec import Space, StudySpec, expand, parse, read_text, require_parts
from robustness.store import Order

__all__ = ["EXAMPLE", "EXAMPLE_TOML", "body_schema", "checked", "extra_components", "order_of"]

KINDS = {"application/json": "json", "application/toml": "toml"}
EXAMPLE: dict[str, Any] = {
    "name": "first",
    "question": "Does INSGD tolerate learning rates that break SGD?",
    "tasks": [{"data": "digits", "model": "mlp", "epochs": 3, "batch_size": 64}],
    "optimizers": [{"name": "insgd"}, {"name": "sgd", "momentum": 0.9}],
    "search": {"lr": {"low": 0.0001, "high": 10.0, "points": 6}, "init": ["default"], "seeds": 3},
}
EXAMPLE_TOML = """name = "first"
[[tasks]]
data = "digits"
model = "mlp"
epochs = 3
batch_size = 64
[[optimizers]]
name = "insgd"
[[optimizers]]
name = "sgd"
momentum = 0.9
[search]
lr = { low = 1e-4, high = 10.0, points = 6 }
seeds = 3
"""


def order_of(
    body: bytes, content_type: str, settings: Settings, *, owner: str, key: str | None, extend: bool
) -> Order:
    """The study that a request's body is.

    Raises:
        HTTPException: 415, the content type is neither JSON nor TOML.
        SpecError: with every problem found.
    """
    kind, study, space = checked(body, content_type, settings)
    return Order(
        name=study.name,
        title=study.title,
        question=study.question,
        spec=study.model_dump(mode="json"),
        tasks={task.label: task.config.as_dict() for task in space.tasks},
        trials=space.trial_count,
        owner=owner,
        extend=extend,
        key=key,
        digest=hashlib.sha256(f"{kind} {extend} ".encode() + body).hexdigest(),
    )


def checked(body: bytes, content_type: str, settings: Settings) -> tuple[str, StudySpec, Space]:
    """What a body is written in, its study, and the space that this stands for: all that is refused is refused here.

    Raises:
        HTTPException: 415, the content type is neither JSON nor TOML.
        SpecError: with every problem found.
    """
    media = content_type.partition(";")[0].strip().lower()
    kind = KINDS.get(media)
    if kind is None:
        raise HTTPException(415, f"a study is {' or '.join(KINDS)}, got {media!r:.80}")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError.of("body", f"must be UTF-8: {error}") from None
    plain = read_text(text, kind, name="body")
    study = parse(plain)
    space = expand(study, max_cells=settings.max_cells)
    require_parts(study, space, settings.data)
    return kind, study, space


def body_schema() -> dict[str, Any]:
    """Of the route's description: the frame; all names and arguments are in GET /schema."""
    frame = StudySpec.model_json_schema(ref_template="#/components/schemas/{model}")
    frame.pop("$defs", None)
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": frame, "examples": {"first": {"value": EXAMPLE}}},
                "application/toml": {
                    "schema": {"type": "string"},
                    "examples": {"first": {"value": EXAMPLE_TOML}},
                },
            },
        }
    }


def extra_components() -> Mapping[str, Any]:
    """Schemas that the body's frame refers to."""
    found: dict[str, Any] = StudySpec.model_json_schema(ref_template="#/components/schemas/{model}")["$defs"]
    return found
