"""Performance profiles: the share of runs whose skill exceeds a threshold, one line an optimizer.

Source: Agarwal et al. 2021 (arXiv 2108.13264), on skill at each row's tuned learning rate.
"""

# S seeds, I initializations, P thresholds

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from robustness.figures import style
from robustness.figures.frames import stacked
from robustness.figures.lines import Line, add_line, panels
from robustness.figures.style import Size
from robustness.figures.words import n_text, unit
from robustness.summary import Study
from robustness.summary.confirmed import are_confirmed
from robustness.summary.study_metrics import profile_rates, tuned_skill

__all__ = ["Profile", "ProfileInfo", "draw_profile", "profile_info"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One optimizer's line.

    Attributes:
        optimizer: its label.
        index: its place among the task's optimizers.
        runs: behind it: seeds times initializations, less the missing.
        share_P: of runs above each threshold.
        low_P: end of the 95 % interval; NaN with one seed.
        high_P: the other end.
    """

    optimizer: str
    index: int
    runs: int
    share_P: Floats
    low_P: Floats
    high_P: Floats


@dataclass(frozen=True, kw_only=True)
class ProfileInfo:
    """The numbers of one task's profile: thresholds of skill (P) and the lines."""

    title: str
    subtitle: str
    taus_P: Floats
    profiles: tuple[Profile, ...]
    notes: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """One row a threshold and optimizer: the share of runs with more skill, and its band."""
        return stacked(
            ("optimizer", "skill", "share", "low", "high"),
            ((p.optimizer, self.taus_P, p.share_P, p.low_P, p.high_P) for p in self.profiles),
        )


def profile_info(study: Study, task: str) -> ProfileInfo:
    """The profile of one task, of its fresh seeds where it has them.

    Args:
        study: for the labels.
        task: its label.
    """
    names = list(dict.fromkeys(study.trials.loc[study.trials["task"] == task, "optimizer"]))
    samples = [sample for sample in study.tuning if sample.cube.task == task]
    skills = [tuned_skill([sample.scored]) for sample in samples]
    # A reference score can be beaten: the axis reaches to the best run.
    best = max((float(np.nanmax(skill_SI, initial=1.0)) for skill_SI in skills), default=1.0)
    taus_P = np.linspace(0.0, max(1.0, best), 201)
    profiles = []
    for sample, skill_SI in zip(samples, skills, strict=True):
        rates = profile_rates([sample.scored], taus_P.tolist())
        profiles.append(
            Profile(
                optimizer=sample.cube.optimizer,
                index=names.index(sample.cube.optimizer),
                runs=int((~np.isnan(skill_SI)).sum()),
                share_P=np.array([rate.value for rate in rates]),
                low_P=np.array([rate.low for rate in rates]),
                high_P=np.array([rate.high for rate in rates]),
            )
        )
    of = unit((sample.cube for sample in samples), fresh=are_confirmed(samples))
    return ProfileInfo(
        title=f"Performance profile: {task}",
        subtitle="Share of runs with more skill than τ, at each initialization's tuned learning rate. "
        + n_text((profile.runs for profile in profiles), "run", f" an optimizer ({of}s × initializations)"),
        taus_P=taus_P,
        profiles=tuple(profiles),
        notes=(
            "Skill: 0 the best constant predictor, 1 the task's reference score; a run that did not train has 0. "
            f"Bands: 95 % intervals over whole {of}s; none with one {of}.",
        ),
    )


def draw_profile(info: ProfileInfo, size: Size = style.PAGE) -> go.Figure:
    """Draw it."""
    on = panels([""], size, height=size.panel * 1.5)
    for profile in info.profiles:
        line = Line(
            name=profile.optimizer,
            index=profile.index,
            x=info.taus_P,
            y=profile.share_P,
            low=profile.low_P,
            high=profile.high_P,
            hover=[
                f"{style.fitted(profile.optimizer, 500, 13)}<br>skill > {tau:.3f}: {100 * share:.0f} %"
                for tau, share in zip(info.taus_P, profile.share_P, strict=True)
            ],
            marks=False,
            step=True,
        )
        add_line(on, 0, line, size, legend=True, crowd=len(info.profiles))
    on.figure.update_xaxes(title="skill τ", title_standoff=4, range=[0, float(info.taus_P[-1]) * 1.01])
    on.figure.update_yaxes(tickformat=".0%", range=[0, 1.03])
    style.y_title(on.figure, "share of runs above τ", size, left=on.left)
    style.finish(
        on.figure,
        size=size,
        title=info.title,
        subtitle=info.subtitle,
        notes=info.notes,
        inner=on.inner,
        left=on.left,
        legend=[profile.optimizer for profile in info.profiles],
    )
    return on.figure
