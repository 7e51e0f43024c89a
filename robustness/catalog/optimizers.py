"""Optimizers by name: ours, pytorch-optimizer's, and those of installed packages."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points

from robustness.catalog.more_optimizers import PREFIX, arguments_of, signatures
from robustness.catalog.optimizer_entries import ENTRIES
from robustness.catalog.optimizer_entry import OptimizerEntry
from robustness.catalog.registry import Registry
from robustness.errors import nearest

__all__ = ["OPTIMIZERS", "OptimizerEntry"]


class OptimizerRegistry(Registry[OptimizerEntry]):
    """Ours, and what installed packages declare under the entry point `robustness.optimizers`.

    Packages are looked for once, when a name is not ours or all are listed; specs cannot install any.
    """

    _plugins_loaded = False

    def get(self, name: str) -> OptimizerEntry:
        """The entry of that name; see `Registry.get`."""
        if name.startswith(PREFIX):
            return _more(name)
        if name not in self._entries:
            self._load_plugins()
        return super().get(name)

    def __iter__(self) -> Iterator[OptimizerEntry]:
        """All entries, installed ones last."""
        self._load_plugins()
        return super().__iter__()

    def _load_plugins(self) -> None:
        if self._plugins_loaded:
            return
        self._plugins_loaded = True
        for point in entry_points(group="robustness.optimizers"):
            entry = point.load()
            if not isinstance(entry, OptimizerEntry):
                raise TypeError(f"the entry point {point.value} must be an OptimizerEntry, got {entry!r:.80}")
            self.add(entry)


@cache
def _more(name: str) -> OptimizerEntry:
    """An optimizer of pytorch-optimizer.

    Raises:
        ValueError: it has none of that name that trains on parameters alone.
    """
    table, short = signatures(), name.removeprefix(PREFIX)
    if short not in table:
        raise ValueError(f"unknown optimizer {name!r:.80}; {nearest(short, table)}")
    return OptimizerEntry(
        name=name,
        summary=f"{short} of pytorch-optimizer",
        target=table[short]["target"],
        default_lr=table[short]["lr"],
        arguments=arguments_of(table[short]["arguments"]),
        extra="pytorch_optimizer",
        source="pytorch-optimizer",
    )


OPTIMIZERS = OptimizerRegistry("optimizer", ENTRIES)
