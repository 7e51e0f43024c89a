"""What runs in a Ray actor: a list of trials, one after another, each reported as it ends."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from ray import tune

from robustness.errors import RobustnessError
from robustness.trial import Trial

__all__ = ["TrialList"]


class TrialList(tune.Trainable):
    """A ray trial. Its config: `batch` with `keys`, `trials` (plain data), `root`, `device`, `threads`.

    Each step trains one trial and reports its `record`, or its `error` if the execution failed: one
    broken trial does not take the others of its list along.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Take the list; the actor is used again for the next one."""
        import torch

        # Torch's settings outlive a list in a reused actor, so they are set for each.
        batch = config["batch"]
        torch.set_num_threads(batch["threads"])
        self._trials = [Trial.from_dict(plain) for plain in batch["trials"]]
        self._root = Path(batch["root"])
        self._device = batch["device"]
        self._next = 0

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Reuse this actor for another list."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train the next trial of the list."""
        from robustness.training import train

        trial = self._trials[self._next]
        self._next += 1
        result: dict[str, Any] = {"key": trial.key, "done": self._next == len(self._trials)}
        try:
            return {**result, "record": train(trial, root=self._root, device=self._device)}
        except RobustnessError as error:  # a rule in words: its text says all
            return {**result, "error": str(error)}
        except Exception:  # noqa: BLE001  whatever a trial raises is that trial's failure, and is reported
            return {**result, "error": traceback.format_exc()}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Nothing: results leave with each step, and a list that dies is dealt anew."""
        return {}

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing; see `save_checkpoint`."""
