"""What is known of the tasks of published logs: chance, the constant predictor's loss, a reference, the test set.

A figure that nobody publishes and that cannot be computed stays None; the summaries then say what stands in.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from robustness.phrases import counted
from robustness.trial import ImportedTask

__all__ = ["DEEPOBS", "OPDA_REFERENCES", "KnownTask", "deepobs_task", "opda_task", "step_back_task"]

# Format 2 of the SVHN site's cropped digits, 0 to 9.
SVHN_TRAIN = (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659)
SVHN_TEST = (1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595)

_REFERENCE = "reference: rounded from the baselines' best tuned optimizer (DeepOBS, ICLR 2019)"
_PENALTY = "the recorded losses include the problem's L2 penalty, constant_loss does not"
_BALANCED = "chance and constant_loss: balanced classes"
_VAE = (
    "loss: sum of squared pixel errors + KL; constant_loss: the mean image with a KL of 0, "
    "which is the summed variance of the training pixels / 255"
)


@dataclass(frozen=True, kw_only=True)
class KnownTask:
    """As in `ImportedTask`; `test_examples` before the last, incomplete batch is dropped."""

    score: Literal["accuracy", "loss"] = "accuracy"
    chance: float | None = None
    constant_loss: float | None = None
    reference: float | None = None
    test_examples: int | None = None
    note: str


def _entropy(counts: Collection[int]) -> float:
    """Of class shares, in nats."""
    total = sum(counts)
    return -math.fsum(count / total * math.log(count / total) for count in counts)


def _balanced(classes: int, reference: float, test_examples: int, *notes: str) -> KnownTask:
    return KnownTask(
        chance=1 / classes,
        constant_loss=math.log(classes),
        reference=reference,
        test_examples=test_examples,
        note="; ".join([_BALANCED, _REFERENCE, *notes]),
    )


DEEPOBS: dict[str, KnownTask] = {
    # The minimum is the loss of the noise in the data; no constant predictor: there is nothing to predict.
    "quadratic_deep": KnownTask(score="loss", reference=-87.0, note=_REFERENCE),
    "mnist_vae": KnownTask(
        score="loss",
        constant_loss=3_428_502 / 65_025,  # 52.73
        reference=-28.0,
        note=f"{_VAE}; {_REFERENCE}",
    ),
    "fmnist_vae": KnownTask(
        score="loss",
        constant_loss=4_435_762 / 65_025,  # 68.22, computed from the 60,000 training images
        reference=-23.0,
        note=f"{_VAE}; {_REFERENCE}",
    ),
    "fmnist_2c2d": _balanced(10, 0.92, 10_000),
    "cifar10_3c3d": _balanced(10, 0.84, 10_000, _PENALTY),
    "cifar100_allcnnc": _balanced(100, 0.60, 10_000, _PENALTY),
    "svhn_wrn164": KnownTask(
        chance=max(SVHN_TEST) / sum(SVHN_TEST),
        constant_loss=_entropy(SVHN_TRAIN),
        reference=0.95,
        test_examples=sum(SVHN_TEST),
        note=f"chance and constant_loss: shares of the digits; {_REFERENCE}; {_PENALTY}",
    ),
    # Read off the baselines' own log of SGD at 10^-2.2: from epoch 1 to 30 its test accuracy stays at 0.155798, one
    # character for everything, while its training loss settles (3.1414 at epoch 8, 3.1378 at 14). A corpus
    # count would give both exactly; the text is not part of the logs.
    "tolstoi_char_rnn": KnownTask(
        chance=0.1558,
        constant_loss=3.14,
        reference=0.62,
        note="chance and constant_loss: where a run that predicts one character rests in the baselines (loss to "
        f"0.01); characters are not independent, so there is no standard error; {_REFERENCE}",
    ),
}


def deepobs_task(
    problem: str, budgets: Collection[tuple[int, int | None]], *, accuracy: bool
) -> ImportedTask:
    """A DeepOBS test problem.

    Args:
        problem: its name; one that is not known gets no facts.
        budgets: every pair of epochs and batch size in its logs.
        accuracy: some log has test accuracies.
    """
    known = DEEPOBS.get(problem) or KnownTask(
        score="accuracy" if accuracy else "loss", note="not a test problem with known facts"
    )
    [epochs, batch] = next(iter(budgets)) if len(budgets) == 1 else (0, None)
    size, note = known.test_examples, known.note
    if size is not None and batch is not None and batch <= size:
        dropped = size % batch  # DeepOBS evaluates on whole batches
        size -= dropped
        note += f"; test_size: {dropped} of {known.test_examples:,} are dropped with the last batch"
    return ImportedTask(
        budget=_budget(epochs, batch),
        score=known.score,
        chance=known.chance,
        constant_loss=known.constant_loss,
        reference=known.reference,
        test_size=size,
        note=note,
    )


def _budget(epochs: int, batch: int | None) -> str:
    if not epochs:
        return ""
    return counted(epochs, "epoch") + ("" if batch is None else f", batch {batch}")


OPDA_REFERENCES = {"alexnet": 0.565, "convnext-tiny": 0.825, "resnet18": 0.698}
"""Top-1 accuracy on ImageNet that torchvision publishes for its first weights of each model whose searches opda has."""


def opda_task(model: str) -> ImportedTask:
    """A model on ImageNet, tuned by random search: epochs and batch size vary.

    Args:
        model: a key of `OPDA_REFERENCES`; of every other name, or none, the reference is not known.
    """
    reference = OPDA_REFERENCES.get(model)
    source = (
        "not known" if reference is None else f"the top-1 accuracy that torchvision publishes for {model}"
    )
    return ImportedTask(
        chance=0.001,
        constant_loss=math.log(1000),
        reference=reference,
        test_size=50_000,
        note="chance and constant_loss: balanced classes (label smoothing changes neither); "
        f"reference: {source}; test: ImageNet's validation set",
    )


_STEP_BACK: dict[str, tuple[int, int]] = {  # classes, held-out examples
    "cifar10": (10, 10_000),
    "cifar100": (100, 10_000),
}


def step_back_task(
    dataset: str, loss: str, score: Literal["accuracy", "loss"], budgets: Collection[tuple[int, int | None]]
) -> ImportedTask:
    """A task of step-back's logs; the facts of balanced image sets with cross-entropy are known."""
    [epochs, batch] = next(iter(budgets)) if len(budgets) == 1 else (0, None)
    if dataset not in _STEP_BACK or loss != "cross_entropy" or score != "accuracy":
        return ImportedTask(
            budget=_budget(epochs, batch), score=score, note="no facts of this task are known"
        )
    classes, size = _STEP_BACK[dataset]
    return ImportedTask(
        budget=_budget(epochs, batch),
        chance=1 / classes,
        constant_loss=math.log(classes),
        test_size=size,
        note=f"{_BALANCED}; held-out data: the data set's test set",
    )
