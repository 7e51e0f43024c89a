"""A study: what a user writes, how it is checked, and the trials that it stands for."""

from robustness.spec.axes import Axis, Labelled
from robustness.spec.models import COMPARABLE, Claim, LrRange, Resources, Sampler, Search, StudySpec, parse
from robustness.spec.parts import require_parts
from robustness.spec.reading import override, read_file, read_text
from robustness.spec.scaling import SCALES, scaled
from robustness.spec.schema import json_schema
from robustness.spec.space import MAX_CELLS, MAX_TRIALS, Labels, Row, Space, expand

__all__ = [
    "COMPARABLE",
    "MAX_CELLS",
    "MAX_TRIALS",
    "SCALES",
    "Axis",
    "Claim",
    "Labelled",
    "Labels",
    "LrRange",
    "Resources",
    "Row",
    "Sampler",
    "Search",
    "Space",
    "StudySpec",
    "expand",
    "json_schema",
    "override",
    "parse",
    "read_file",
    "read_text",
    "require_parts",
    "scaled",
]
