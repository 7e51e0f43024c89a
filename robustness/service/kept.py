"""A cache of bounded size that many threads share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Kept"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """What was used last; the rest is dropped.

    >>> kept = Kept[str, int](most=2)
    >>> for key, value in (("a", 1), ("b", 2)):
    ...     kept.put(key, value)
    >>> kept.get("a")
    1
    >>> kept.put("c", 3)
    >>> [kept.get(key) for key in "abc"]
    [1, None, 3]
    """

    def __init__(self, most: int, size: Callable[[Value], int] = lambda _: 1) -> None:
        """Sizes add up to `most`; each value counts 1 by default."""
        self._most = most
        self._size = size
        self._held = 0
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, key: Key) -> Value | None:
        """The value, or None where it is not kept."""
        with self._guard:
            found = self._values.get(key)
            if found is not None:
                self._values.move_to_end(key)
            return found

    def put(self, key: Key, value: Value) -> None:
        """Keep it, in place of an earlier one."""
        with self._guard:
            self._drop(key)
            self._values[key] = value
            self._held += self._size(value)
            while self._held > self._most:
                self._drop(next(iter(self._values)))

    def drop(self, key: Key) -> None:
        """Forget it, if it is kept."""
        with self._guard:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        if key in self._values:
            self._held -= self._size(self._values.pop(key))
