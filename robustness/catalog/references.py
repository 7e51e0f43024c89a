"""The fixed scores against which skill is measured.

Skill is (S - b) / (r - b), b the best constant predictor's score and r the score below: a round figure
near what the best of the tuned optimizers of our own studies reaches on the test set. It only sets
the unit of skill, so it must be fixed, not exact. Raise REFERENCE_VERSION when one changes.

Where our studies do not reach, the best test accuracy that INSGD's papers state for the pair, to two digits.
Source: `published/insgd.csv` (Atici, Pan, Cetin, TMLR 2024; arXiv 2212.09921v2); a test compares the two.
"""

from __future__ import annotations

__all__ = ["REFERENCE_VERSION", "reference_score"]

REFERENCE_VERSION = 2

_TEST_ACCURACY: dict[tuple[str, str], float] = {
    ("digits", "mlp"): 0.97,
    ("digits", "toy-cnn"): 0.97,
    ("mnist1d", "mlp"): 0.65,
    ("fashion-mnist", "mlp"): 0.88,
    ("fashion-mnist", "toy-cnn"): 0.90,
    ("cifar10", "mlp"): 0.53,
    ("cifar10", "toy-cnn"): 0.75,
    ("cifar100", "mlp"): 0.25,
    ("cifar100", "toy-cnn"): 0.40,
    ("cifar10", "resnet20"): 0.93,
    ("cifar10", "resnet18"): 0.93,
    ("cifar10", "mobilenet-v3"): 0.93,
    ("cifar10", "vit"): 0.85,
    ("cifar100", "wide-resnet18"): 0.78,
    ("cifar100", "wide-resnet20"): 0.77,
    ("imagenet", "resnet50"): 0.76,
}


def reference_score(data: str, model: str) -> float | None:
    """The reference test accuracy of a data set with a model; None where there is none yet."""
    return _TEST_ACCURACY.get((data, model))
