"""A pack: K trials of one task and one optimizer family, trained as one model.

What a trial's record says is what `sequential.train` says, to rounding. With the technique `feature-major` on one
thread of a CPU it does not depend, to the bit, on the trial's neighbours, on its place, or on K; vmap's convolutions
are grouped ones, whose sums depend on K. Trials that ended leave the pack when an epoch ends.
"""

# K trials in the pack, B batch, N examples, P numbers in a trial's parameters, S distinct seeds, T steps an epoch

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from robustness import seeds
from robustness.inits import initialize
from robustness.optimizers.rules import Block, PackedOptimizer
from robustness.tasks import Split, augment, build_model, load
from robustness.training.batches import in_chunks, order_of_epoch
from robustness.training.checkpoint import Keeper, Saved
from robustness.training.feature_major import FeatureMajor
from robustness.training.passes import PackedModel
from robustness.training.precision import exact_convolutions
from robustness.training.records import L0_EXAMPLES, Log
from robustness.training.vmapped import Vmapped
from robustness.trial import Named, Trial, TrialRecord

__all__ = ["Technique", "train_pack"]


Technique = Literal["feature-major", "vmap"]
"""How a pack's passes are computed."""

_MODELS: dict[Technique, Callable[[nn.Module, Block, Block], PackedModel]] = {
    "feature-major": FeatureMajor,
    "vmap": Vmapped,
}


KEPT_STARTS, KEPT_PARAMETERS = 256, 100_000  # 100 MB at the most


def train_pack(
    trials: Sequence[Trial],
    *,
    technique: Technique,
    root: Path,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    keeper: Keeper | None = None,
) -> Iterator[list[TrialRecord]]:
    """Train trials of one task and one optimizer family together.

    Args:
        trials: of the pack; see `Named.family`.
        technique: how passes are computed.
        root: the folder with the data sets.
        device: where to train.
        dtype: of parameters and inputs.
        keeper: keeps the pack's checkpoints.

    Yields:
        After each epoch the records of the trials that ended in it; often none. Where it goes on from a checkpoint,
        before all of them those of the trials that had ended.

    Raises:
        DataMissing: the data set's files are not under `root`.
        TypeError: the technique does not run the task's model, or packs do not run its precision.
    """
    pack: _Pack | None = None

    def resume(saved: Saved) -> None:
        nonlocal pack
        pack = _Pack.resumed(trials, technique, root, device, dtype, saved)

    if keeper is not None and keeper.go_on(device, dtype, resume):
        yield [] if pack is None else [log.record() for log in pack.ended]
    pack = pack or _Pack(trials, technique, root, device, dtype)
    while pack.logs:
        found = pack.epoch()
        if keeper is not None and pack.logs:
            keeper.offer(pack.epochs, device, dtype, pack.state)
        yield found


class _Pack:
    """The state of a pack between epochs. `logs[k]` belongs to row k of every matrix.

    Attributes:
        logs: of the trials that are trained.
        ended: of those that are not any more.
        epochs: that were trained.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        technique: Technique,
        root: Path,
        device: str,
        dtype: torch.dtype,
        known: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Begin; with the logs so far where the rest is to be restored."""
        [self._task] = {trial.cell.task for trial in trials}
        task = self._task
        if task.precision != "float32" or task.compile:
            raise TypeError("trials in other precisions, and compiled ones, are trained one at a time")
        exact_convolutions()
        self._data = load(task.data, root, device, dtype, task.input_scale)
        self._steps = len(self._data.train) // task.batch_size
        model = build_model(task).to(device, dtype)
        shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
        small = sum(shape.numel() for shape in shapes.values()) <= KEPT_PARAMETERS
        start_KP = torch.stack([_start_of(trial, small=small) for trial in trials]).to(device, dtype)  # noqa: N806
        self._start = start_KP
        self._parameters = Block(start_KP.clone(), shapes)
        self._gradients = Block(torch.zeros_like(start_KP), shapes)
        self._model = _MODELS[technique](model, self._parameters, self._gradients)
        if known is None:
            # Batch norm's averages must not move while the starting loss is measured.
            first_look = _MODELS[technique](model, self._parameters, self._gradients)
            l0_K = _initial_losses(first_look, self._data.train)
            self.logs = [Log(t, self._steps, l0, []) for t, l0 in zip(trials, l0_K, strict=True)]
        else:
            self.logs = [Log.of_state(t, self._steps, log) for t, log in zip(trials, known, strict=True)]
        self.ended: list[Log] = []
        self.epochs = 0
        self._optimizer = PackedOptimizer(
            [trial.cell.optimizer for trial in trials],
            [trial.cell.lr for trial in trials],
            self._parameters,
            self._gradients,
            steps_an_epoch=self._steps,
            epochs=task.epochs,
        )

    @classmethod
    def resumed(
        cls,
        trials: Sequence[Trial],
        technique: Technique,
        root: Path,
        device: str,
        dtype: torch.dtype,
        saved: Saved,
    ) -> _Pack:
        """The pack of a checkpoint, of whose trials only these are still wanted."""
        state = saved.state
        wanted = {trial.key: trial for trial in trials}
        rows = [k for k, log in enumerate(state["logs"]) if log["key"] in wanted]
        logs = [state["logs"][k] for k in rows]
        ended = [log for log in state["ended"] if log["key"] in wanted]
        # Where all had ended, one is made again for its form, and left out.
        alive = [wanted[log["key"]] for log in logs] or trials[:1]
        pack = cls(alive, technique, root, device, dtype, logs or ended[:1])
        pack.ended = [Log.of_state(wanted[log["key"]], pack._steps, log) for log in ended]
        pack.epochs = saved.epoch
        if not rows:
            pack.logs = []
            return pack
        index = torch.tensor(rows, device=pack._start.device)

        def cut(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            whole = len(rows) == len(state["logs"])
            return dict(tensors) if whole else {name: tensor[index] for name, tensor in tensors.items()}

        pack._parameters.flat.copy_(cut({"": state["parameters"]})[""])
        optimizer = state["optimizer"]
        pack._optimizer.restore({**optimizer, "state": cut(optimizer["state"])})
        pack._model.restore(cut(state["buffers"]))
        return pack

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps; see `sequential._Run.state`."""
        return {
            "logs": [log.state() for log in self.logs],
            "ended": [log.state() for log in self.ended],
            "parameters": self._parameters.flat,
            "optimizer": self._optimizer.state(),
            "buffers": self._model.buffers(),
        }

    def epoch(self) -> list[TrialRecord]:
        """Train one more epoch; records of the trials that ended in it."""
        began = time.perf_counter()
        self.epochs += 1
        losses_KT, clamped_K = self._train(self.epochs)
        after = self._after(clamped_K)
        seconds = (time.perf_counter() - began) / len(self.logs)  # each trial's share
        for k, (log, losses) in enumerate(zip(self.logs, losses_KT.tolist(), strict=True)):
            log.add(losses, {name: column[k] for name, column in after.items()}, seconds)
        ended = [log for log in self.logs if log.ended]
        if ended:
            self.ended += ended
            self._keep([k for k, log in enumerate(self.logs) if not log.ended])
        return [log.record() for log in ended]

    def _train(self, epoch: int) -> tuple[Tensor, Tensor | None]:
        """The loss of each step, (K, T), and what `released` clamped in the last one, (K,)."""
        task, train = self._task, self._data.train
        device = train.inputs.device
        places, seed_of_K = _distinct_seeds([log.trial for log in self.logs])
        firsts = [self.logs[k].trial for k in places]
        seed_of_K = seed_of_K.to(device)
        orders = torch.stack([order_of_epoch(trial, epoch, len(train)) for trial in firsts])
        order_TK = orders.to(device)[seed_of_K].transpose(0, 1).contiguous()  # noqa: N806
        self._model.dropout([seeds.dropout_generator(t, epoch, device) for t in firsts], seed_of_K)
        images = [seeds.augment_generator(t, epoch, device) for t in firsts]
        labels_TK = _picked(train.labels, order_TK)  # noqa: N806
        losses, clamped = [], None
        for index_KB, labels_KB in zip(order_TK.unbind(), labels_TK.unbind(), strict=True):  # noqa: N806
            inputs = _picked(train.inputs, index_KB)
            if task.augment != "none":
                inputs = _augmented(inputs, task.augment, images, places, seed_of_K)
            found = self._model.step(inputs, labels_KB, self._optimizer.measure)
            self._optimizer.step(found.powers)
            losses.append(found.losses)
            clamped = found.clamped
        return torch.stack(losses, 1).mean(-1).double(), clamped

    def _after(self, clamped_K: Tensor | None) -> dict[str, list[float]]:
        flat = self._parameters.flat
        figures = {
            "parameter_norm": _norm(flat),
            "distance": _norm(flat - self._start),
            "clamped_share": torch.full_like(flat[:, 0], math.nan) if clamped_K is None else clamped_K,
        }
        for part, split in (("validation", self._data.validation), ("test", self._data.test)):
            figures[f"{part}_loss"], figures[f"{part}_accuracy"] = _evaluate(self._model, split)
        return {name: column.tolist() for name, column in figures.items()}

    def _keep(self, rows: list[int]) -> None:
        self.logs = [self.logs[k] for k in rows]
        if not rows:
            return
        index = torch.tensor(rows, device=self._start.device)
        self._start = self._start[index]
        for part in (self._parameters, self._gradients, self._optimizer, self._model):
            part.keep(index)


def _start_of(trial: Trial, *, small: bool) -> Tensor:
    """A trial's starting parameters as one row, (P,), float32, on the CPU.

    Those of small models are kept for the next trials: what differs in optimizer or learning rate starts alike.
    """
    any_optimizer = dataclasses.replace(trial.cell, optimizer=Named(name="sgd"), lr=1.0)
    alike = dataclasses.replace(trial, cell=any_optimizer)
    return _kept_start(alike) if small else _start(alike)


def _start(trial: Trial) -> Tensor:
    model = build_model(trial.cell.task)
    initialize(model, trial.cell.init, lambda name: seeds.weight_generator(trial, name))
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


_kept_start = lru_cache(maxsize=KEPT_STARTS)(_start)


def _distinct_seeds(trials: Sequence[Trial]) -> tuple[list[int], Tensor]:
    """The place of a first trial of each distinct data order, and for each trial which of them is its own, (K,).

    Order, augmentation and dropout depend on it alone within a task, so each is drawn once.
    """
    places: dict[tuple[int, int], int] = {}
    for k, trial in enumerate(trials):
        places.setdefault((trial.root_seed, trial.order_index), k)
    number = {order: i for i, order in enumerate(places)}
    return list(places.values()), torch.tensor([number[t.root_seed, t.order_index] for t in trials])


def _picked(values_N: Tensor, index: Tensor) -> Tensor:  # noqa: N803
    """The examples at each place of `index`; index_select is several times as fast as indexing."""
    return values_N.index_select(0, index.view(-1)).view(*index.shape, *values_N.shape[1:])


def _augmented(
    inputs_KB: Tensor,  # noqa: N803
    kind: str,
    generators: list[torch.Generator],
    places: list[int],
    seed_of_K: Tensor,  # noqa: N803
) -> Tensor:
    """Trials of one seed have the same batch, and so the same changes of it."""
    changed = [augment(inputs_KB[k], kind, g) for k, g in zip(places, generators, strict=True)]
    return torch.stack(changed)[seed_of_K]


def _norm(flat_KP: Tensor) -> Tensor:  # noqa: N803
    """l2 norms, (K,), in float64: a float32 square overflows at 1.8e19."""
    return flat_KP.double().square().sum(1).sqrt()


@torch.no_grad()
def _evaluate(model: PackedModel, split: Split, *, training: bool = False) -> tuple[Tensor, Tensor]:
    """Mean loss and accuracy of each trial over a split, (K,) each, float64."""
    loss = correct = torch.zeros(())
    for inputs, labels in in_chunks(split):
        losses_K, correct_K = model.evaluate(inputs, labels, training=training)
        # Means, added in float64: a float32 sum overflows long before the mean does.
        loss = loss + losses_K.double() * len(labels)
        correct = correct + correct_K
    return loss / len(split), correct.double() / len(split)


def _initial_losses(model: PackedModel, train: Split) -> list[float]:
    """Mean training losses before the first step; see `sequential._initial_loss`."""
    size = min(len(train), L0_EXAMPLES)
    losses, _ = _evaluate(model, Split(train.inputs[:size], train.labels[:size]), training=True)
    found: list[float] = losses.tolist()
    return found
