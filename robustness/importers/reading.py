"""Reading other people's files with suspicion: each mistake is told with its file, its value and the rule."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from robustness.errors import SpecError
from robustness.spec.models import check_text

__all__ = [
    "MAX_LABEL",
    "checked_label",
    "existing",
    "kept",
    "learning_rate",
    "lines",
    "named",
    "number",
    "numbers",
    "parse_json",
    "read_json",
    "shape",
    "share",
    "whole",
]

MAX_FILE = 1 << 30
MAX_LINE = 1 << 26
MAX_LABEL = 200
MAX_VALUES = 1_000  # of one unknown field
MAX_DEPTH = 8


# -- files -----------------------------------------------------------------------------------------


def existing(path: Path) -> Path:
    """The path, if there is something to read.

    Raises:
        SpecError: there is not.
    """
    try:
        if path.is_file() or path.is_dir():
            return path
        why = "is neither a file nor a folder" if path.exists() else "does not exist"
    except (OSError, ValueError) as error:  # names that are too long, or hold a zero byte
        why = f"cannot be read: {error}"
    raise SpecError.of("PATH", f"{str(path):.200} {why}")


def named(file: Path, root: Path) -> str:
    """A file's name as trials keep it: relative to what is imported, with slashes."""
    return file.name if root.is_file() else file.relative_to(root).as_posix()


def read_json(file: Path, name: str) -> Any:
    """The content of a JSON file.

    Raises:
        SpecError: it cannot be read, is too large, or is not JSON.
    """
    try:
        if file.stat().st_size > MAX_FILE:
            raise SpecError.of(name, f"is larger than {MAX_FILE:,} bytes")
        text = file.read_bytes()
    except OSError as error:
        raise SpecError.of(name, f"cannot be read: {error.strerror}") from None
    return parse_json(text, name)


def lines(file: Path, name: str) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers, from 1.

    Raises:
        SpecError: it cannot be read, or a line is too long.
    """
    try:
        with file.open("rb") as stream:
            for at, line in enumerate(iter(lambda: stream.readline(MAX_LINE), b""), start=1):
                if len(line) == MAX_LINE:
                    raise SpecError.of(f"{name}, line {at}", f"is longer than {MAX_LINE:,} bytes")
                yield at, line
    except OSError as error:
        raise SpecError.of(name, f"cannot be read: {error.strerror}") from None


def parse_json(text: bytes, where: str) -> Any:
    """JSON, with the NaN and Infinity that Python writes.

    Raises:
        SpecError: it is not JSON, holds a number beyond a float64, or is nested too deeply.
    """
    try:
        return json.loads(text, parse_float=_double)
    except RecursionError:
        raise SpecError.of(where, "is nested too deeply") from None
    except ValueError as error:  # a decoding error is one too
        raise SpecError.of(where, f"is not valid JSON: {error!s:.200}") from None


def _double(text: str) -> float:
    # 1e999 is no infinity that anybody measured: Python writes those as Infinity.
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text:.30} is beyond what a float64 holds")
    return value


# -- values ----------------------------------------------------------------------------------------


def shape(value: Any, where: str, field: str, kind: type[dict[str, Any]] | type[list[Any]]) -> Any:
    """The value, if it is a JSON object (dict) or a list.

    Raises:
        SpecError: it is something else.
    """
    if not isinstance(value, kind):
        wanted = "an object" if kind is dict else "a list"
        raise SpecError.of(where, f"{field} must be {wanted}, got {_shown(value)}")
    return value


def number(value: Any, where: str, field: str) -> float:
    """A measured number: NaN where missing, infinities as they are.

    Raises:
        SpecError: it is no number.
    """
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SpecError.of(where, f"{field} must be a number, got {_shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise SpecError.of(where, f"{field} is beyond what a float64 holds") from None


def numbers(value: Any, where: str, field: str) -> list[float]:
    """A list of measured numbers; empty where missing.

    Raises:
        SpecError: it is no list of numbers.
    """
    if value is None:
        return []
    plain: list[Any] = shape(value, where, field, list)
    if all(
        type(item) is float for item in plain
    ):  # a path for each of 200,000 steps would cost more than they do
        return plain
    return [number(item, where, f"{field}[{i}]") for i, item in enumerate(plain)]


def share(value: float, where: str, field: str) -> float:
    """An accuracy.

    Raises:
        SpecError: it is not in [0, 1]: percent, perhaps.
    """
    if not (math.isnan(value) or 0 <= value <= 1):
        raise SpecError.of(where, f"{field} must be a share in [0, 1] (percent / 100), got {value:.6g}")
    return value


def learning_rate(value: Any, where: str, field: str = "lr") -> float:
    """A learning rate.

    Raises:
        SpecError: it is no number, not finite, or not above 0.
    """
    if value is None:
        raise SpecError.of(where, f"{field} is missing: every run needs its learning rate")
    lr = number(value, where, field)
    if not (math.isfinite(lr) and lr > 0):
        raise SpecError.of(where, f"{field} must be finite and > 0, got {lr:.6g}")
    return lr


def whole(value: Any, where: str, field: str, *, low: int = 0, high: int = 2**31 - 1) -> int:
    """A whole number.

    Raises:
        SpecError: it is not one, or out of range.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SpecError.of(where, f"{field} must be a whole number of {low} to {high}, got {_shown(value)}")
    return value


def checked_label(value: Any, where: str, field: str) -> str:
    """A label or a name.

    Raises:
        SpecError: no text, empty, too long, or with characters that a line of text does not have.
    """
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= len(value) <= MAX_LABEL:
        raise SpecError.of(
            where, f"{field} must be a text of 1 to {MAX_LABEL} characters, got {_shown(value)}"
        )
    try:
        return check_text(value)
    except ValueError as error:
        raise SpecError.of(where, f"{field} {error}, got {_shown(value)}") from None


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return f"{value!r:.80}"


# -- unknown fields --------------------------------------------------------------------------------


def kept(value: Any, depth: int = 0) -> Any:
    """An unknown field as a trial's JSON keeps it.

    JSON has no NaN: it and the infinities become text. Long lists, which are series of single steps, are
    replaced by their length: every reader of a study loads these.

    >>> kept({"a": [1, float("nan")]})
    {'a': [1, 'nan']}
    >>> kept(list(range(2000)))
    {'omitted values': 2000}
    """
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str) and len(value) > MAX_VALUES:
        return {"omitted characters": len(value)}
    if isinstance(value, (dict, list)):
        if len(value) > MAX_VALUES or depth == MAX_DEPTH:
            return {"omitted values": len(value)}
        if isinstance(value, dict):
            return {str(key)[:MAX_LABEL]: kept(item, depth + 1) for key, item in value.items()}
        return [kept(item, depth + 1) for item in value]
    return value
