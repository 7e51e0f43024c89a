"""The worker: takes queued studies from the store and runs each in a process of its own. Torch-free itself."""

from robustness.worker.watching import end_with_parent
from robustness.worker.worker import CLAIM_SECONDS, Worker

__all__ = ["CLAIM_SECONDS", "Worker", "end_with_parent"]
