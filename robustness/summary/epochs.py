"""The epochs of a cell's trials, for a picture of how they went."""

from __future__ import annotations

import pandas as pd
import sqlalchemy as sa

from robustness.store import Store
from robustness.store.schema import epoch, study, study_trial, trial
from robustness.trial import TrialState

__all__ = ["EPOCH_COLUMNS", "cell_epochs"]

_FIGURES = ("train_loss", "validation_loss", "validation_accuracy", "test_loss", "test_accuracy")
EPOCH_COLUMNS = ("key", "seed_index", "first_nonfinite_step", "epoch", *_FIGURES)


def cell_epochs(store: Store, name: str, *, task: str, optimizer: str, lr: float, init: str) -> pd.DataFrame:
    """Every epoch of the complete trials of one cell of a study.

    Args:
        store: where it is.
        name: of the study.
        task: label.
        optimizer: label.
        lr: learning rate, met to three digits, as it is written.
        init: label.

    Returns:
        `EPOCH_COLUMNS`, in the study's order; a trial without epochs has one row with NaN.
    """
    query = (
        sa.select(
            trial.c.key,
            trial.c.seed_index,
            sa.type_coerce(trial.c.first_nonfinite_step, sa.Double).label("first_nonfinite_step"),
            sa.type_coerce(epoch.c.epoch, sa.Double).label("epoch"),
            *(sa.type_coerce(epoch.c[figure], sa.Double).label(figure) for figure in _FIGURES),
        )
        .join(study_trial, study_trial.c.trial_id == trial.c.id)
        .join(study, study.c.id == study_trial.c.study_id)
        .outerjoin(epoch, epoch.c.trial_id == trial.c.id)
        .where(
            study.c.name == name,
            study_trial.c.task == task,
            study_trial.c.optimizer == optimizer,
            study_trial.c.init == init,
            trial.c.lr.between(lr * 0.999, lr * 1.001),
            trial.c.state == TrialState.COMPLETE.value,
        )
        .order_by(study_trial.c.position, epoch.c.epoch)
    )
    with store.reading() as connection:
        rows = connection.execute(query).all()
    frame = pd.DataFrame.from_records(rows, columns=list(EPOCH_COLUMNS))
    return frame.astype(dict.fromkeys(("first_nonfinite_step", "epoch", *_FIGURES), float))
