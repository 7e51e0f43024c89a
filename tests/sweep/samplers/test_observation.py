"""What samplers are told agrees with what the read side says."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robustness.store.rows import final_figures
from robustness.store.trial_frames import TRIAL_COLUMNS
from robustness.summary import classify
from robustness.sweep.samplers.observation import Observer
from robustness.trial import TrialRecord
from tests.builders import epoch, record, trials
from tests.builders import space as space_of
from tests.summary.frames import frame

numbers = st.one_of(st.just(math.nan), st.just(math.inf), st.floats(0, 1))
losses = st.one_of(st.just(math.nan), st.just(math.inf), st.floats(0, 1e30))


@st.composite
def records(draw: st.DrawFn) -> TrialRecord:
    accuracy, loss = draw(numbers), draw(losses)
    last = epoch(1, test_accuracy=accuracy, validation_accuracy=draw(numbers), train_loss=loss)
    return record(trials()[0], last, step=draw(st.sampled_from([None, 3])))


@given(st.lists(records(), min_size=1, max_size=8))
def test_outcomes_and_skills_are_those_of_the_read_side_and_always_finite(found: list[TrialRecord]) -> None:
    space = space_of()
    [task] = space.tasks
    observer = Observer(space)
    figures = [final_figures(each) for each in found]
    told = observer([task.label] * len(found), figures)
    facts = observer._facts[task.label]  # noqa: SLF001
    rows = [
        {name: row[name] for name in TRIAL_COLUMNS if name in row} | {"task": task.label} for row in figures
    ]
    read = classify(
        frame(*({**row, "nonfinite": float(row["nonfinite"])} for row in rows)), {task.label: facts}
    )
    for observed, outcome, score in zip(told, read["outcome"], read["score"], strict=True):
        assert observed.trained == (outcome == "trained")
        assert np.isfinite([observed.skill, observed.selection]).all()
        if observed.trained:
            assert observed.skill == (score - facts.chance) / (facts.reference - facts.chance)
        else:
            assert observed.skill == observed.selection == 0
