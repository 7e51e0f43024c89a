"""Named entries with checked arguments. Torch-free: the web process validates specs with it."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from robustness.errors import nearest
from robustness.trial import Named, Value

__all__ = ["Argument", "Entry", "Registry"]

Kind = Literal["float", "int", "bool", "str", "floats"]

_KIND_WORDS = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "str": "a string",
    "floats": "a list of numbers",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """One argument of an entry: its type, default and bounds.

    `kind = "floats"` is a tuple of `length` numbers (betas), of any number where `length` is 0, each
    within the bounds.
    """

    name: str
    kind: Kind
    default: Value
    doc: str
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    choices: tuple[str, ...] = ()
    length: int = 0

    @property
    def rule(self) -> str:
        """The rule in words: `a number, >= 0 and < 1`."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        bounds = []
        if self.low > -math.inf:
            bounds.append(f"{'>' if self.low_open else '>='} {self.low:g}")
        if self.high < math.inf:
            bounds.append(f"{'<' if self.high_open else '<='} {self.high:g}")
        words = _KIND_WORDS[self.kind]
        if self.kind == "floats":
            words = f"a list of {self.length} numbers" if self.length else "a list of numbers"
        return f"{words}, {' and '.join(bounds)}" if bounds else words

    def check(self, value: Any) -> Value:
        """The value in its canonical type.

        Raises:
            ValueError: the value breaks the rule; the text gives rule, value, nearest choice.
        """
        if self.kind == "floats":
            if not isinstance(value, (list, tuple)) or len(value) != (self.length or len(value)):
                raise ValueError(f"must be {self.rule}, got {value!r:.80}")
            return tuple(self._number(item, value) for item in value)
        if self.kind == "bool":
            if not isinstance(value, bool):
                raise ValueError(f"must be {self.rule}, got {value!r:.80}")
            return value
        if self.kind == "str":
            if not isinstance(value, str):
                raise ValueError(f"must be {self.rule}, got {value!r:.80}")
            if self.choices and value not in self.choices:
                raise ValueError(f"must be {self.rule}, got {value!r:.80}; {nearest(value, self.choices)}")
            return value
        number = self._number(value, value)
        return int(number) if self.kind == "int" else number

    def _number(self, value: Any, shown: Any) -> float:
        types = (int,) if self.kind == "int" else (int, float)
        inside = isinstance(value, types) and not isinstance(value, bool)
        if inside and self.kind != "int":
            # Not isfinite: a whole number beyond all floats raises there.
            inside = -sys.float_info.max <= value <= sys.float_info.max
        if inside:
            above = value > self.low if self.low_open else value >= self.low
            below = value < self.high if self.high_open else value <= self.high
            inside = above and below
        if not inside:
            raise ValueError(f"must be {self.rule}, got {shown!r:.80}")
        return value if self.kind == "int" else float(value) + 0.0  # -0.0 is 0.0


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A name of the catalog.

    Attributes:
        name: what a spec writes.
        summary: one line for `robustness catalog`.
        target: `module:attribute` of what it builds; imported only when built.
        arguments: what it takes beside the fields that every entry of its kind takes.
        source: where the definition comes from.
    """

    name: str
    summary: str
    target: str = ""
    arguments: tuple[Argument, ...] = ()
    source: str = ""

    def argument(self, name: str) -> Argument:
        """The argument of that name.

        Raises:
            ValueError: it takes none; the text lists what it takes.
        """
        for argument in self.arguments:
            if argument.name == name:
                return argument
        takes = ", ".join(argument.name for argument in self.arguments) or "no arguments"
        raise ValueError(
            f"{self.name} takes no {name!r:.80} (it takes {takes})"
            + (f"; {nearest(name, [a.name for a in self.arguments])}" if self.arguments else "")
        )

    def fill(self, given: dict[str, Value]) -> Named:
        """The entry with every default filled in; values are taken as already checked."""
        filled = {argument.name: given.get(argument.name, argument.default) for argument in self.arguments}
        return Named(name=self.name, arguments=tuple(sorted(filled.items())))


E_ = TypeVar("E_", bound=Entry)


class Registry(Generic[E_]):
    """Entries of one kind by name. Refuses duplicates, and unknown names with the nearest one."""

    def __init__(self, kind: str, entries: tuple[E_, ...]) -> None:
        """Take the entries in order; `kind` is the word used in errors."""
        self.kind = kind
        self._entries: dict[str, E_] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: E_) -> None:
        """Add one entry.

        Raises:
            ValueError: the name is taken.
        """
        if entry.name in self._entries:
            raise ValueError(f"{self.kind} {entry.name!r} is already registered")
        self._entries[entry.name] = entry

    def get(self, name: str) -> E_:
        """The entry of that name.

        Raises:
            ValueError: unknown; the text offers the nearest name.
        """
        if name not in self._entries:
            raise ValueError(f"unknown {self.kind} {name!r:.80}; {nearest(name, self._entries)}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is an entry of that name."""
        return name in self._entries

    def __iter__(self) -> Iterator[E_]:
        """The entries, in the order in which they were added."""
        return iter(self._entries.values())

    @property
    def names(self) -> list[str]:
        """All names, in the order in which they were added."""
        return list(self._entries)
