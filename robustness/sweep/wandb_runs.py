"""Ray Tune's W&B callback, whose actors wait until their run is written."""

from __future__ import annotations

from ray.air.integrations.wandb import WandbLoggerCallback

__all__ = ["WrittenWandb"]


class _Actor(WandbLoggerCallback._logger_actor_cls):  # type: ignore[misc, valid-type]  # noqa: SLF001
    """One run, from its start to the end of its file."""

    def run(self) -> None:
        """Log what is queued, then wait for W&B's own process.

        `wandb.finish` returns before that process has written the run, and it is killed with the actor.
        """
        super().run()
        self._wandb.teardown()


class WrittenWandb(WandbLoggerCallback):
    """Ray's callback with that actor."""

    _logger_actor_cls = _Actor
