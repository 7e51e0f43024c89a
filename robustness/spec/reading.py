"""From a file of TOML, YAML or JSON to plain data; nothing in a file can run, alias or repeat a key."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from robustness.errors import SpecError, nearest

__all__ = ["override", "read_file", "read_text"]

MAX_BYTES = 1_000_000
MAX_DEPTH = 100
FORMATS = {".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}


def read_file(path: Path) -> dict[str, Any]:
    """The plain data of a study file.

    Raises:
        SpecError: no such file, over 1 MB, an unknown ending, or not valid in its format.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise SpecError.of(str(path), f"must end in {', '.join(FORMATS)}, got {path.suffix!r}")
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        siblings = [p.name for p in path.parent.glob("*") if p.suffix.lower() in FORMATS]
        hint = f"; {nearest(path.name, siblings)}" if siblings else ""
        raise SpecError.of(str(path), f"no such file{hint}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise SpecError.of(str(path), f"cannot be read: {error}") from None
    if len(raw) > MAX_BYTES:
        raise SpecError.of(str(path), f"a study file has at most {MAX_BYTES:,} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError.of(str(path), f"must be UTF-8: {error}") from None
    return read_text(text, kind, name=str(path))


def read_text(text: str, kind: str, *, name: str = "spec") -> dict[str, Any]:
    """The plain data of a study written in `kind` (toml, yaml or json).

    Raises:
        SpecError: not valid; the text carries the parser's line.
    """
    readers: dict[str, Callable[[str], Any]] = {"toml": tomllib.loads, "yaml": _read_yaml, "json": _read_json}
    try:
        plain = readers[kind](text)
        _check_depth(plain)
    except RecursionError:
        raise SpecError.of(name, f"is nested more than {MAX_DEPTH} levels deep") from None
    except (ValueError, yaml.YAMLError) as error:  # every parser's own error is a ValueError but YAML's
        raise SpecError.of(name, f"is not valid {kind.upper()}: {error}") from None
    if not isinstance(plain, dict):
        raise SpecError.of(name, "must be a table of fields (name, tasks, optimizers, search)")
    return plain


def override(plain: dict[str, Any], assignment: str) -> dict[str, Any]:
    """A copy with one field set: `search.seeds=3`, `tasks[0].epochs=2`, `search.lr=[0.1, 1.0]`.

    The value is read as TOML; what is no TOML value is a string.

    Raises:
        SpecError: no `=`, or the path goes through something that is not there.
    """
    path, separator, text = assignment.partition("=")
    names = re.findall(r"[^.\[\]]+", path.strip())
    if not separator or not names:
        raise SpecError.of("--set", f"must be FIELD=VALUE, got {assignment!r:.200}")
    steps = [int(name) if re.fullmatch(r"[0-9]{1,6}", name) else name for name in names]
    try:
        read = tomllib.loads(f"value = {text.strip()}")
    except (ValueError, RecursionError):  # no TOML: a string
        read = {"value": text.strip()}
    if set(read) != {"value"}:
        raise SpecError.of("--set", f"must be one FIELD=VALUE, got {assignment!r:.200}")
    value = read["value"]
    changed: dict[str, Any] = _replaced(plain, steps, value, path.strip())
    return changed


def _replaced(container: Any, steps: list[str | int], value: Any, path: str) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(container, list):
        if not isinstance(step, int) or step >= len(container):
            raise SpecError.of("--set", f"{path}: {step!r} is not an index below {len(container)}")
        return [_replaced(c, rest, value, path) if i == step else c for i, c in enumerate(container)]
    if not isinstance(container, dict) or isinstance(step, int):
        raise SpecError.of("--set", f"{path}: there is no field {step!r} to set")
    return {**container, step: _replaced(container.get(step, {}), rest, value, path)}


def _check_depth(plain: Any) -> None:
    # Breadth first: the check itself must not recurse.
    level = [plain]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise RecursionError


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """A dictionary of pairs.

    Raises:
        ValueError: a key comes twice (json and YAML would silently keep the last).
    """
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if not isinstance(key, str):
            raise ValueError(f"keys must be strings, got {key!r}")
        if key in found:
            raise ValueError(f"the key {key!r} comes twice")
        found[key] = value
    return found


def _read_json(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a JSON number")

    return json.loads(text, object_pairs_hook=_unique, parse_constant=refuse)


class _Loader(yaml.SafeLoader):
    """Plain YAML 1.2 values only: `1e-4` is a number, `no` a string, no dates, no aliases."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  the base class's own attribute, emptied

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise ValueError("aliases (*name) are not allowed")
        if getattr(self.peek_event(), "tag", None) is not None:  # type: ignore[no-untyped-call]
            raise ValueError("tags (!name) are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        pairs = [
            (self.construct_object(k, deep=True), self.construct_object(v, deep=True)) for k, v in node.value
        ]
        return _unique(pairs)


# YAML 1.1 would read 010 as 8.
def _construct_int(loader: yaml.SafeLoader, node: Any) -> int:
    return int(str(loader.construct_scalar(node)), 10)


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)

_NUMBER_START = list("-+.0123456789")
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), _NUMBER_START)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.inf$|^\.nan$"),
    _NUMBER_START,
)


def _read_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader, made stricter
