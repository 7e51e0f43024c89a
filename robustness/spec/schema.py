"""The JSON Schema of a study file, for editors: the frame from pydantic, the rest from the catalog."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from robustness.catalog import DATASETS, INITS, MODELS, OPTIMIZERS, TASK_FIELDS, Argument
from robustness.spec.models import Range, Search, StudySpec

__all__ = ["json_schema"]

_TYPES = {"float": "number", "int": "integer", "bool": "boolean", "str": "string"}


def json_schema() -> dict[str, Any]:
    """The schema that `robustness schema` prints and shipped studies name in their first line."""
    schema = StudySpec.model_json_schema()
    schema["$defs"]["Range"] = Range.model_json_schema()
    properties = schema["properties"]
    lr = Search.model_json_schema()["properties"]["lr"]
    label = {"type": "string", "minLength": 1, "maxLength": 100, "description": "what readers see"}
    properties["tasks"]["items"] = _task_schema() | {"required": ["data", "model"]}
    properties["tasks"]["items"]["properties"]["label"] = label
    properties["optimizers"]["items"] = {
        "oneOf": [
            _named_schema(e.name, e.summary, e.arguments, {"lr": lr, "label": label}) for e in OPTIMIZERS
        ]
    }
    one_init = {
        "anyOf": [
            {"enum": INITS.names},
            *(_named_schema(e.name, e.summary, e.arguments, {"label": label}) for e in INITS),
        ]
    }
    schema["$defs"]["Search"]["properties"]["init"] = {
        "anyOf": [one_init, {"type": "array", "minItems": 1, "items": one_init}],
        "default": "default",
        "description": "weight initializations",
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _task_schema() -> dict[str, Any]:
    arguments: dict[str, Argument] = {}
    for entry in (*DATASETS, *MODELS):
        for argument in entry.arguments:
            known = arguments.get(argument.name)
            arguments[argument.name] = argument if known is None else _widest(known, argument)
    names = {
        "data": _axis({"enum": DATASETS.names}),
        "model": _axis({"enum": MODELS.names}),
    }
    fields = {a.name: _axis(_argument(a), a) for a in (*TASK_FIELDS, *arguments.values())}
    return {"type": "object", "additionalProperties": False, "properties": names | fields}


def _widest(one: Argument, other: Argument) -> Argument:
    """What either entry takes: which one it is, an editor cannot tell. Described as the first entry has it."""
    return replace(one, low=min(one.low, other.low), high=max(one.high, other.high))


def _named_schema(
    name: str, summary: str, arguments: tuple[Argument, ...], more: dict[str, Any]
) -> dict[str, Any]:
    fields = {a.name: _axis(_argument(a), a) for a in arguments}
    return {
        "type": "object",
        "title": name,
        "description": summary,
        "additionalProperties": False,
        "required": ["name"],
        "properties": {"name": {"const": name}, **fields, **more},
    }


def _argument(argument: Argument) -> dict[str, Any]:
    if argument.choices:
        return {"enum": list(argument.choices)}
    if argument.kind == "floats":
        number = _bounded({"type": "number"}, argument)
        return {
            "type": "array",
            "items": number,
            "minItems": argument.length,
            "maxItems": argument.length,
        }
    return _bounded({"type": _TYPES[argument.kind]}, argument)


def _bounded(schema: dict[str, Any], argument: Argument) -> dict[str, Any]:
    if argument.low > float("-inf"):
        schema["exclusiveMinimum" if argument.low_open else "minimum"] = argument.low
    if argument.high < float("inf"):
        schema["exclusiveMaximum" if argument.high_open else "maximum"] = argument.high
    return schema


def _axis(one: dict[str, Any], argument: Argument | None = None) -> dict[str, Any]:
    """One value, a list of values as an axis, or a range of numbers."""
    schema: dict[str, Any] = {"anyOf": [one, {"type": "array", "minItems": 1, "items": one}]}
    if argument is not None and argument.kind in ("float", "int"):
        schema["anyOf"].append({"$ref": "#/$defs/Range"})
    if argument is not None:
        default = list(argument.default) if isinstance(argument.default, tuple) else argument.default
        schema |= {"description": argument.doc, "default": default}
    return schema
