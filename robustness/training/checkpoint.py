"""Checkpoints: a training's whole state after an epoch, from which any worker goes on to the same numbers.

Every random draw is keyed by its epoch (`seeds`), so between two epochs there is no generator to remember. What there
is: parameters and buffers, the optimizer, its schedule and scaler, and the record so far. Tensors come back with their
types and strides: a sum in another order, or a loop that the processor does not vectorize, would round otherwise.

A file is trusted where its SHA-256 holds and it was made with the same versions, kind of device and threads. Any other
is passed over with a line that says why, and the training begins anew. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from robustness.checkpoint_files import Keeping, clean, file_name, header_of, write
from robustness.trial import RECORD_VERSION, Trial

__all__ = ["Keeper", "Saved", "Unusable", "copy_model", "model_state"]

FORMAT = 1
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}  # JSON has none of them


class Unusable(Exception):
    """A checkpoint that is not gone on from; the text says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """A checkpoint that can be gone on from.

    Attributes:
        epoch: after which it was made.
        keys: of the trials in it.
        state: what was saved, tensors on the trial's device; the reader's own.
    """

    epoch: int
    keys: tuple[str, ...]
    state: Any
    outline: str
    digest: str

    def require_same(self, state: object) -> None:
        """Check that what was restored is what was saved, to the bit.

        Raises:
            Unusable: it is not: some optimizer does not load all that it saves.
        """
        tensors: dict[str, Tensor] = {}
        text = json.dumps(_plain(state, tensors), allow_nan=False)
        if _digest(self.outline, text, tensors) != self.digest:
            raise Unusable("its optimizer does not take back what it gave")


class Keeper:
    """Keeps the checkpoint of one pack: looks for it when the pack begins, and renews it.

    Attributes:
        name: of the file that is written.
    """

    def __init__(
        self,
        keeping: Keeping,
        technique: str | None,
        trials: Sequence[Trial],
        *,
        say: Callable[[str], None],
        source: str | None = None,
    ) -> None:
        """Keep checkpoints of `trials`.

        Args:
            keeping: where and how often.
            technique: of the pack; None for a trial by itself.
            trials: in order.
            say: takes lines for the user.
            source: the file to go on from, where it is not the one that is written: of a larger pack.
        """
        self._keeping, self._technique, self._trials = keeping, technique, trials
        self._say = say
        self.name = file_name(technique, [trial.key for trial in trials])
        self._source = source or self.name
        self._there = self._broken = False
        self._last = time.monotonic()

    @property
    def files(self) -> list[str]:
        """What is no longer needed once all records of the pack are stored."""
        return [self.name] if self._there else []

    def go_on(self, device: str, dtype: torch.dtype, resume: Callable[[Saved], None]) -> bool:
        """Give the checkpoint, where there is one to go on from, to `resume`; whether that took it.

        Args:
            device: where the pack is trained.
            dtype: of its parameters.
            resume: may raise Unusable, and leave anything half done.
        """
        path = self._keeping.folder / self._source
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            self._say(f"the checkpoint {path} cannot be read ({error.strerror}); its training begins anew")
            return False
        self._there = self._source == self.name
        try:
            saved = _parsed(data, self._made_with(device, dtype), device)
            if not {trial.key for trial in self._trials} <= set(saved.keys):
                raise Unusable("it is of another pack")
            resume(saved)
        except Exception as why:  # noqa: BLE001  what has another cause comes again when the training begins anew
            self._say(f"the checkpoint {path} is of no use: {_reason(why)}; its training begins anew")
            return False
        budget = self._trials[0].cell.task.epochs
        self._say(
            f"{_label(self._trials)}: goes on after epoch {saved.epoch} of {budget}, from its checkpoint"
        )
        return True

    def offer(self, epoch: int, device: str, dtype: torch.dtype, state: Callable[[], object]) -> None:
        """Write a checkpoint of what `state` returns after this epoch, where one is due."""
        if self._broken or time.monotonic() - self._last < self._keeping.seconds:
            return
        folder = self._keeping.folder
        outline = {
            "technique": self._technique,
            "keys": [trial.key for trial in self._trials],
            "epoch": epoch,
            **self._made_with(device, dtype),
        }
        try:
            write(folder, self.name, _serialized(json.dumps(outline), state()))
            if not self._there:
                clean(folder)
            self._there = True
        except OSError as error:  # a disk may have room again: tried at the next one
            self._say(f"no checkpoint can be written to {folder} ({error.strerror}); trainings go on without")
        except Exception as why:  # noqa: BLE001  a training goes on, whatever is odd about its state
            self._broken = True
            self._say(f"{_label(self._trials)}: trained without checkpoints, {_reason(why)}")
        self._last = time.monotonic()

    def _made_with(self, device: str, dtype: torch.dtype) -> dict[str, Any]:
        """What must be the same for the same numbers."""
        others = {trial.cell.optimizer.name for trial in self._trials if ":" in trial.cell.optimizer.name}
        return {
            "format": FORMAT,
            "record_version": RECORD_VERSION,
            "torch": torch.__version__,
            "pytorch_optimizer": _version("pytorch-optimizer") if others else None,
            "device": torch.device(device).type,
            "dtype": str(dtype),
            "threads": torch.get_num_threads(),
        }


def model_state(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and all buffers, those too that a `state_dict` leaves out."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


@torch.no_grad()
def copy_model(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Write a `model_state` into a model of the same kind, in place.

    Raises:
        Unusable: it is of another model.
    """
    own = model_state(model)
    if {n: (t.shape, t.dtype) for n, t in own.items()} != {n: (t.shape, t.dtype) for n, t in state.items()}:
        raise Unusable("it is of another model")
    for name, tensor in own.items():
        tensor.copy_(state[name])


def _label(trials: Sequence[Trial]) -> str:
    cell = trials[0].cell
    what = f"{cell.task.data.name} {cell.task.model.name} {cell.optimizer.name}"
    if len(trials) > 1:
        return f"{what}, a pack of {len(trials)}"
    return f"{what} lr {cell.lr:g} seed {trials[0].seed_index}"


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, Unusable) else f"{type(error).__name__}: {error}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _serialized(outline: str, state: object) -> bytes:
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_plain(state, tensors), allow_nan=False)
    texts = {"outline": outline, "state": text, "sha256": _digest(outline, text, tensors)}
    return save(tensors, texts)


def _parsed(data: bytes, made_with: Mapping[str, Any], device: str) -> Saved:
    """What a file holds.

    Raises:
        Unusable: it is damaged, not ours, or made otherwise.
    """
    try:
        texts = header_of(io.BytesIO(data))
        tensors = load(data)
        outline, text, digest = texts["outline"], texts["state"], texts["sha256"]
        sound = _digest(outline, text, tensors) == digest
    except Exception as error:  # noqa: BLE001  bytes from anywhere can be wrong in any way
        raise Unusable(f"it is damaged ({error})") from None
    if not sound:
        raise Unusable("it is damaged (its SHA-256 does not hold)")
    said = json.loads(outline)
    for name, value in made_with.items():
        if said.get(name) != value:
            raise Unusable(f"it was made with {name} {said.get(name)}, this is {value}")
    state = _live(json.loads(text), tensors, device)
    return Saved(epoch=said["epoch"], keys=tuple(said["keys"]), state=state, outline=outline, digest=digest)


def _digest(outline: str, text: str, tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256(json.dumps([outline, text]).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]  # a buffer
    return found.hexdigest()


def _plain(value: object, tensors: dict[str, Tensor]) -> object:
    """A state as JSON data, its tensors put aside; containers are marked, as JSON knows no tuples or numbers as keys.

    Raises:
        Unusable: something in it is neither data nor a tensor.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        strides = torch.empty_like(value, device="meta").stride()  # dense: an expanded one has zeros
        return {"tensor": name, "strides": list(strides), "device": value.device.type}
    if isinstance(value, Mapping):
        return {"dict": [[_plain(k, tensors), _plain(v, tensors)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_plain(item, tensors) for item in value]}
    raise Unusable(f"for its state has a {type(value).__name__}")


def _live(plain: Any, tensors: Mapping[str, Tensor], device: str) -> Any:
    """The reverse of `_plain`."""
    if not isinstance(plain, dict):
        return plain
    if "float" in plain:
        return _FLOATS[plain["float"]]
    if "tensor" in plain:
        kept = tensors[plain["tensor"]]
        # Counters of optimizers stay on the CPU wherever their parameters are.
        where = "cpu" if plain["device"] == "cpu" else device
        return torch.empty_strided(kept.shape, plain["strides"], dtype=kept.dtype, device=where).copy_(kept)
    if "dict" in plain:
        return {_live(k, tensors, device): _live(v, tensors, device) for k, v in plain["dict"]}
    if "list" in plain:
        return [_live(item, tensors, device) for item in plain["list"]]
    return tuple(_live(item, tensors, device) for item in plain["tuple"])
