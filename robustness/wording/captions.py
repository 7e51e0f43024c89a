"""Phrases that captions, tables and sentences share: seeds, what intervals resample, over which learning rates."""

from __future__ import annotations

import pandas as pd

from robustness.phrases import counted
from robustness.summary.sampler_limits import designed, orders_of
from robustness.summary.study import Study

__all__ = ["over_lrs", "seeds_text", "units", "whole"]


def seeds_text(study: Study) -> str:
    """How many seeds a study has, in words, and how many data orders each is crossed with."""
    orders = orders_of(study.spec)
    text = counted(int((study.trials["seed_index"] // orders).nunique()), "seed")
    return text if orders == 1 else f"{text} x {orders} data orders"


def units(study: Study, *, of_rates: bool = False) -> tuple[str, str]:
    """What n counts and what is resampled, in the singular and the plural.

    Seeds; where learning rates were drawn, trials, as each has its own.

    Args:
        study: classified.
        of_rates: of divergence rates by row, which have whole seeds where those share drawn settings.
    """
    by_seed = of_rates and study.grid.is_clustered
    kinds = dict.fromkeys("trial" if cube.binned and not by_seed else "seed" for cube in study.grid.cubes)
    names = list(kinds) or ["seed"]
    return " or ".join(names), " or ".join(f"{name}s" for name in names)


def whole(many: str) -> str:
    """What intervals resample, of the plural of `units`: a seed goes with all its trials.

    >>> whole("seeds"), whole("trials")
    ('whole seeds', 'trials')
    """
    return many.replace("seeds", "whole seeds")


def over_lrs(trials: pd.DataFrame) -> str:
    """Over which learning rates the rates of these trials are, in words."""
    of_design = designed(trials)
    if len(of_design) == len(trials):
        return "all learning rates"
    sizes = [frame.groupby(["task", "optimizer"])["lr"].nunique() for frame in (of_design, trials)]
    few, many = (" to ".join(map(str, sorted({size.min(), size.max()}))) for size in sizes)
    return f"the learning rates of the design ({few} of {many})"
