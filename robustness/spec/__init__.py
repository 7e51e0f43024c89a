"""A study: what a user writes, how it is checked, and the trials that it stands for."""

from robustness.spec.grid import MAX_CELLS, MAX_TRIALS, Grid, expand
from robustness.spec.models import COMPARABLE, Claim, LrRange, Resources, Search, StudySpec, parse
from robustness.spec.reading import override, read_file, read_text
from robustness.spec.schema import json_schema
from robustness.spec.variants import Labelled

__all__ = [
    "COMPARABLE",
    "MAX_CELLS",
    "MAX_TRIALS",
    "Claim",
    "Grid",
    "Labelled",
    "LrRange",
    "Resources",
    "Search",
    "StudySpec",
    "expand",
    "json_schema",
    "override",
    "parse",
    "read_file",
    "read_text",
]
