"""The best setting of each row of a study whose settings were drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustness.summary.study import Study
from robustness.summary.tuned_scores import tuned_score

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
    winning: list[Winner] = []
    for sample in study.tuning:
        cube = sample.cube
        pair = (study.complete["task"] == cube.task) & (study.complete["optimizer"] == cube.optimizer)
        for i in np.flatnonzero(sample.trains_I).tolist():
            row = study.complete[pair & (study.complete["init"] == cube.inits[i])]
            settings = study.settings.loc[row.index]
            setting = settings.loc[row.index[row["lr"] == sample.tuned_lrs_I[i]][0]]
            drawn = setting[settings.nunique() > 1].dropna()
            score = tuned_score(sample, i)
            winning.append(
                Winner(
                    task=cube.task,
                    optimizer=cube.optimizer,
                    init=cube.inits[i],
                    lr=float(sample.tuned_lrs_I[i]),
                    settings={str(name): float(value) for name, value in drawn.items()},
                    score=score.mean,
                    seeds=score.trained,
                )
            )
    return winning
