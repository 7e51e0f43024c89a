"""Small studies for the tests of figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from robustness.store import open_store
from robustness.summary import Study, load_study
from tests.builders import dead_epoch, epoch, record, save, trials

SPEC: dict[str, Any] = {
    "optimizers": [{"name": "sgd"}, {"name": "adam", "label": "<b>adam</b>"}],
    "search": {"lr": [0.01, 0.1, 1.0], "init": ["default", "orthogonal"], "seeds": 3},
}


def study(tmp_path: Path, complete: Any, **changes: Any) -> Study:
    """A study whose trials get the epochs that `complete(trial)` says; None leaves them waiting."""
    changes = {**SPEC, **changes}
    with open_store(str(tmp_path / "s.db"), create=True) as store:
        held = store.acquire(save(store, **changes))
        records = []
        for trial in trials(**changes):
            epochs = complete(trial)
            if epochs is not None:
                dead = any(np.isnan(row.test_accuracy) for row in epochs)
                records.append(record(trial, *epochs, step=1 if dead else None))
        store.finish(held, records)
        return load_study(store, "small")


def diverges_above(lr: float) -> Any:
    return lambda trial: [dead_epoch(1)] if trial.cell.lr > lr else [epoch(1), epoch(2)]


def texts(figure: Any) -> list[str]:
    """Everything that a reader sees as words: annotations, texts in squares, names in legends, ticks."""
    found = [a.text for a in figure.layout.annotations]
    for trace in figure.data:
        found += [trace.name] if trace.name else []
        text = getattr(trace, "text", None)
        found += [str(t) for t in np.ravel(text)] if text is not None else []
    for key in figure.layout:
        if key.startswith(("xaxis", "yaxis")):
            axis = figure.layout[key]
            found += [str(t) for t in axis.ticktext or ()] + [axis.title.text or ""]
    return [text.replace("\u00a0", " ") for text in found]
