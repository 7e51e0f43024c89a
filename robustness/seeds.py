"""Random numbers keyed by what they are for, so that differences between optimizers are paired.

Every draw has its own generator, from NumPy's SeedSequence on a SHA-256 integer of a purpose and
the parts that it may depend on: the weights' seed index for weights, the order's for all else. The
optimizer, its hyperparameters, the learning rate, the number of epochs and the normalization are never
among them: all optimizers start from the same weights and see the same batches. Nor are Python's
`hash()`, a worker's index, or a place in a pack.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from robustness.trial import Trial, canonical_json

__all__ = ["augment_generator", "dropout_generator", "generator", "order_generator", "weight_generator"]


def generator(purpose: str, *parts: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator that depends on the purpose and the parts alone.

    Raises:
        TypeError: a part is not plain JSON data.
    """
    digest = hashlib.sha256(canonical_json([purpose, *parts]).encode()).digest()
    sequence = np.random.SeedSequence(int.from_bytes(digest))
    seed = int(sequence.generate_state(1, np.uint64)[0])
    return torch.Generator(device).manual_seed(seed)


def weight_generator(trial: Trial, parameter: str) -> torch.Generator:
    """For the initial values of one parameter; on the CPU, so that weights agree across devices."""
    task = trial.cell.task
    return generator(
        "weights",
        trial.root_seed,
        trial.weights_index,
        task.data.as_dict(),
        task.model.name,
        trial.cell.init.name,
        parameter,
    )


def order_generator(trial: Trial, epoch: int) -> torch.Generator:
    """For the order of the training examples in one epoch (1, 2, ...)."""
    return generator("order", trial.root_seed, trial.order_index, trial.cell.task.data.as_dict(), epoch)


def augment_generator(trial: Trial, epoch: int, device: torch.device | str = "cpu") -> torch.Generator:
    """For the random changes of training images in one epoch."""
    return generator(
        "augment", trial.root_seed, trial.order_index, trial.cell.task.data.as_dict(), epoch, device=device
    )


def dropout_generator(trial: Trial, epoch: int, device: torch.device | str = "cpu") -> torch.Generator:
    """For the dropout masks of one epoch."""
    task = trial.cell.task
    return generator(
        "dropout",
        trial.root_seed,
        trial.order_index,
        task.data.as_dict(),
        task.model.name,
        epoch,
        device=device,
    )
