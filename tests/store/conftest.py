"""What tests of the store ask of it."""

from __future__ import annotations

from robustness.store import Store


def states(store: Store, study_id: int) -> dict[str, int]:
    return {state.value: n for state, n in store.counts(study_id).items() if n}
