"""Names, arguments, defaults and bounds of everything a spec can ask for. Torch-free data.

A test compares each entry with the signature of what it builds, so the catalog cannot drift.
"""

from robustness.catalog.datasets import DATASETS, DataEntry, DataFacts, data_root
from robustness.catalog.inits import INITS, InitEntry
from robustness.catalog.models import MODELS, ModelEntry
from robustness.catalog.optimizers import OPTIMIZERS, OptimizerEntry
from robustness.catalog.references import REFERENCE_VERSION, reference_score
from robustness.catalog.registry import Argument, Entry, Registry
from robustness.catalog.tasks import TASK_FIELDS
from robustness.catalog.trackers import TRACKERS, TrackerEntry

__all__ = [
    "DATASETS",
    "INITS",
    "MODELS",
    "OPTIMIZERS",
    "REFERENCE_VERSION",
    "TASK_FIELDS",
    "TRACKERS",
    "Argument",
    "DataEntry",
    "DataFacts",
    "Entry",
    "InitEntry",
    "ModelEntry",
    "OptimizerEntry",
    "Registry",
    "TrackerEntry",
    "data_root",
    "reference_score",
]
