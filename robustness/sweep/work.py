"""What is to be trained: which trials wait, which were handed out in lists of packs, which are tried again.

Everything here happens in the driver's one thread: Tune asks for a list, the collector says what became of it.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustness.checkpoint_files import Keeping, outlines
from robustness.spec import Resources
from robustness.sweep.packing import FIRST, Kind, Pack, begun_packs, cut, grouped
from robustness.sweep.sizes import Sizes
from robustness.trial import Trial

__all__ = ["Death", "PackList", "Work"]

LISTS_A_SLOT = 8
MAX_LIST = 64
"""Packs a ray trial: few enough to balance the load, many enough to pay its 50 to 100 ms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PackList:
    """A ray trial: an id and the packs that it trains one after another; whether their memory is to be measured."""

    id: int
    packs: Sequence[Pack]
    measure: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Death:
    """What a worker's death means.

    Attributes:
        errors: of the trials of the pack that it was training, by key.
        not_begun: how many trials of its other packs wait again.
        given_up: keys of trials that failed too often.
    """

    errors: dict[str, str]
    not_begun: int
    given_up: list[str]


class Work:
    """Trials on their way through the cluster.

    A trial whose execution failed is tried again when nothing else waits, in a list of its own: if it takes its worker
    along again, it takes no others.

    On an accelerator the first pack of a kind goes out alone, and the other trials of the kind are held until its worker
    tells how many fit into one; see `packing`.

    Attributes:
        attempts: how often the execution of each trial failed by itself.
        failures: last error of each trial whose execution failed and that is not complete since.
        complete: trials that ended.
    """

    def __init__(
        self, resources: Resources, slots: int, max_failures: int, keeping: Keeping | None = None
    ) -> None:
        """Make packs for `slots` that are trained at the same time; give up a trial after so many more attempts.

        With `keeping`, packs of which there are checkpoints are made again as they were.
        """
        self._resources = resources
        self._slots = slots
        self._max_failures = max_failures
        self._keeping = keeping
        self._waiting: list[Trial] = []
        self._sizes = Sizes(resources.pack, self.device)
        # With each list the kind that it is to measure.
        self._lists: deque[tuple[Sequence[Pack], Kind | None]] = deque()
        self._again: deque[Trial] = deque()
        self._out: dict[int, list[list[Trial]]] = {}
        self._ids = itertools.count()
        self.attempts: Counter[str] = Counter()
        self.failures: dict[str, str] = {}
        self.complete = 0

    @property
    def device(self) -> str:
        """The kind of device that packs are made for."""
        return "cuda" if self._resources.gpus else "cpu"

    @property
    def left(self) -> bool:
        """Something waits or runs."""
        return bool(self._waiting or self._lists or self._again or self._out)

    def add(self, trials: Iterable[Trial]) -> None:
        """Trials that are to be trained."""
        self._waiting += trials

    def take(self) -> PackList | None:
        """The next list to hand out; None while all that is left is running."""
        if not self._lists and self._waiting:
            self._deal()
        measured: Kind | None = None
        if self._lists:
            dealt, measured = self._lists.popleft()
        elif self._again:
            # By itself, but by the technique of the others: the same numbers to the bit.
            dealt, alone = self._begun([self._again.popleft()])
            for kind, trials in self._grouped(alone).items():
                dealt = list(cut(kind, trials, most=1, slots=1))
        else:
            return None
        made = PackList(id=next(self._ids), packs=dealt, measure=measured is not None)
        if measured is not None:
            self._sizes.sent(made.id, measured)
        self._out[made.id] = [list(pack.trials) for pack in made.packs]
        return made

    def config(self, made: PackList, root: Path) -> dict[str, Any]:
        """What a worker is told. As text: Tune copies and writes every config several times, number by number."""
        packed = json.dumps(
            [(p.technique, [trial.as_dict() for trial in p.trials], p.source) for p in made.packs]
        )
        return {
            "id": made.id,
            "packs": packed,
            "root": str(root.absolute()),
            "device": self.device,
            "threads": self._resources.cpus,
            "gpus": self._resources.gpus,
            "measure": made.measure,
            "keeping": self._keeping,
        }

    def measured(self, id_: int, most: int) -> None:
        """So many trials of the kind of this list's pack fit into one."""
        self._waiting += self._sizes.learn(id_, most)

    def ended(self, id_: int, keys: set[str]) -> None:
        """These trials of a list are complete."""
        self._remove(id_, keys)
        self.complete += len(keys)
        for key in keys & self.failures.keys():
            del self.failures[key]

    def failed(self, id_: int, errors: dict[str, str]) -> list[str]:
        """These trials of a list failed by themselves; the keys of those that are given up."""
        own = [trial for trials in self._out.get(id_, []) for trial in trials if trial.key in errors]
        self._remove(id_, set(errors))
        return self._count(own, errors)

    def died(self, id_: int, error: str) -> Death:
        """The worker of a list died: what it was training failed, what came behind waits again."""
        training, *behind = self._out.pop(id_, []) or [[]]
        self._waiting += self._sizes.ended(id_)
        for trials in reversed(behind):
            self._waiting[:0] = trials
        errors = {trial.key: error for trial in training}
        given_up: list[str] = []
        if len(training) > 1:  # one of them may be why: each gets a worker to itself before an attempt counts
            self.failures.update(errors)
            self._again.extend(training)
        else:
            given_up = self._count(training, errors)
        return Death(errors=errors, not_begun=sum(map(len, behind)), given_up=given_up)

    def _count(self, trials: Sequence[Trial], errors: dict[str, str]) -> list[str]:
        self.failures.update(errors)
        self.attempts.update(errors.keys())
        given_up = {key for key in errors if self.attempts[key] > self._max_failures}
        self._again.extend(trial for trial in trials if trial.key not in given_up)
        return sorted(given_up)

    def running(self, id_: int) -> list[str]:
        """The keys of the trials of a list that was handed out."""
        return [trial.key for trials in self._out.get(id_, []) for trial in trials]

    def _remove(self, id_: int, keys: set[str]) -> None:
        rest = [[trial for trial in trials if trial.key not in keys] for trials in self._out.get(id_, [])]
        rest = [trials for trials in rest if trials]
        if rest:
            self._out[id_] = rest
        else:
            self._out.pop(id_, None)
            self._waiting += self._sizes.ended(id_)

    def _deal(self) -> None:
        """The waiting trials in packs, the packs in lists, enough for the slots that are free."""
        slots = max(self._slots - len(self._out), 1)
        found, waiting = self._begun(self._waiting)
        self._waiting = []
        for kind, trials in self._grouped(waiting).items():
            most = self._sizes.of(kind)
            if most is None and len(trials) <= FIRST * slots:
                most = FIRST  # all fit beside each other: nothing could be learned in time
            if most is not None:
                found += cut(kind, trials, most=most, slots=slots)
            elif first := self._sizes.hold(kind, trials):
                self._lists.append(([first], kind))
        size = min(max(math.ceil(len(found) / (self._slots * LISTS_A_SLOT)), 1), MAX_LIST)
        remaining = iter(found)
        while part := list(itertools.islice(remaining, size)):
            self._lists.append((part, None))

    def _begun(self, trials: Sequence[Trial]) -> tuple[list[Pack], list[Trial]]:
        """Packs that go on from checkpoints, and the trials that are in none."""
        if self._keeping is None:
            return [], list(trials)
        return begun_packs(
            trials, outlines(self._keeping.folder), size=self._resources.pack, device=self.device
        )

    def _grouped(self, trials: Sequence[Trial]) -> dict[Kind, list[Trial]]:
        return grouped(trials, size=self._resources.pack, device=self.device)
