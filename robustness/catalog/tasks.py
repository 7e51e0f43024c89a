"""The fields that every task has, whatever its data set and model."""

from __future__ import annotations

from robustness.catalog.registry import Argument

__all__ = ["TASK_FIELDS"]

TASK_FIELDS: tuple[Argument, ...] = (
    Argument(
        name="norm",
        kind="str",
        default="none",
        choices=("none", "batch", "layer", "group"),
        doc="normalization after each hidden linear or convolutional layer",
    ),
    Argument(name="epochs", kind="int", default=10, low=1, high=100_000, doc="passes over the training set"),
    Argument(name="batch_size", kind="int", default=64, low=1, high=1_000_000, doc="examples a step"),
    Argument(
        name="augment",
        kind="str",
        default="none",
        choices=("none", "pad-crop", "flip", "pad-crop-flip", "random-resized-crop"),
        doc="random changes of training images: shift by at most an eighth of the side, mirror; "
        "random-resized-crop: enlarge 8 to 100 % of the area, and mirror",
    ),
    Argument(
        name="input_scale",
        kind="float",
        default=1.0,
        low=0.0,
        low_open=True,
        high=1e6,
        doc="factor on all inputs",
    ),
    Argument(
        name="stop_above",
        kind="float",
        default=0.0,
        low=0.0,
        doc="end a trial whose training loss, mean over an epoch, is above this multiple of l0; 0 never does",
    ),
    Argument(
        name="precision",
        kind="str",
        default="float32",
        choices=("float32", "bf16", "fp16"),
        doc="of forward and backward passes, by autocast; bf16 is 5 to 20 times slower on processors without it; fp16 "
        "needs CUDA, its losses are scaled",
    ),
    Argument(
        name="compile", kind="bool", default=False, doc="train with torch.compile: seconds to minutes a trial"
    ),
)
