"""The best setting of each row of a study whose settings were drawn."""

from __future__ import annotations

from dataclasses import dataclass

from robustness.summary.frame import Study
from robustness.summary.outcome import ROW

__all__ = ["Winner", "winners"]


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The setting with the best median selection score over seeds.

    Attributes:
        task: label.
        optimizer: label.
        init: label.
        lr: learning rate.
        settings: what else was drawn, by name.
        score: mean test score over the seeds that train.
        seeds: how many.
    """

    task: str
    optimizer: str
    init: str
    lr: float
    settings: dict[str, float]
    score: float
    seeds: int

    @property
    def text(self) -> str:
        """The setting in words."""
        drawn = [f"{name.rpartition('.')[2]} {value:.3g}" for name, value in self.settings.items()]
        return ", ".join([f"learning rate {self.lr:.3g}", *drawn])


def winners(study: Study) -> list[Winner]:
    """One for each row in which something trains, in the study's order."""
    found = []
    for (task, optimizer, init), part in study.complete.groupby(ROW, sort=False):
        if not (part["outcome"] == "trained").any():
            continue
        medians = part.groupby("lr")["selection"].median()
        lr = float(medians.index[int(medians.to_numpy().argmax())])
        own = part[part["lr"] == lr]
        trained = own.loc[own["outcome"] == "trained", "score"]
        settings = study.settings.loc[part.index]
        drawn = settings.loc[own.index[0]][settings.nunique() > 1].dropna()
        found.append(
            Winner(
                task=str(task),
                optimizer=str(optimizer),
                init=str(init),
                lr=lr,
                settings={str(name): float(value) for name, value in drawn.items()},
                score=float(trained.mean()),
                seeds=len(trained),
            )
        )
    return found
