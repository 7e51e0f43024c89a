"""The store: the only truth about what was run. SQLite by default, PostgreSQL by URL."""

from robustness.store.claims import Claim, Claims
from robustness.store.lease import Lease
from robustness.store.links import CONFIRM, StudyTrial
from robustness.store.queue import Order, Queue
from robustness.store.schema import SCHEMA_REVISION
from robustness.store.standing import Standing, StudyState
from robustness.store.store import FailedAttempt, Store, open_store

__all__ = [
    "CONFIRM",
    "SCHEMA_REVISION",
    "Claim",
    "Claims",
    "FailedAttempt",
    "Lease",
    "Order",
    "Queue",
    "Standing",
    "Store",
    "StudyState",
    "StudyTrial",
    "open_store",
]
