"""Ray Tune's way to the work: each suggestion is a list of packs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from robustness.sweep.work import Work

__all__ = ["PackSearcher"]


class PackSearcher(Searcher):
    """Suggests lists of packs: first what the store lacks, then what samplers ask for as results come, then retries.

    What became of a suggestion it does not listen to: the collector does, as a result counts once it is on the disk.
    """

    def __init__(self, work: Work, root: Path) -> None:
        """Hand out `work`, whose data sets are under `root`."""
        super().__init__()
        self._work = work
        self._root = root

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # FINISHED is text
        """The config of the next ray trial; None while the next depends on what is running."""
        made = self._work.take()
        if made is not None:
            return {"batch": self._work.config(made, self._root)}
        return None if self._work.left else Searcher.FINISHED

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing; see the class."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: Tune's snapshots are never used, the store is the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing; see `save`."""

    def __deepcopy__(self, memo: dict[int, Any]) -> PackSearcher:
        """Itself: there is one work."""
        return self

    def __reduce__(self) -> tuple[type[Searcher], tuple[()]]:
        """The copy in Tune's snapshot hands out nothing."""
        return Searcher, ()
