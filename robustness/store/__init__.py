"""The store: the only truth about what was run. SQLite by default, PostgreSQL by URL."""

from robustness.store.lease import Lease
from robustness.store.schema import SCHEMA_REVISION
from robustness.store.store import CONFIRM, FailedAttempt, Store, StudyTrial, open_store

__all__ = ["CONFIRM", "SCHEMA_REVISION", "FailedAttempt", "Lease", "Store", "StudyTrial", "open_store"]
