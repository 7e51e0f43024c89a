"""opda's random searches on ImageNet: one run a line of *.jsonl, with its hyperparameters and its learning curve.

A run with `nan_train_loss` died in the epoch after its curve, which may be empty. The source calls its held-out
images a validation set; no others were recorded, so they are the test set here. The lines do not say which model was
trained: its name comes from the file's, where that is a published one, or from the user.

Source: the results that opda (Apache-2.0) publishes for AlexNet, ConvNeXt and ResNet on ImageNet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from robustness.errors import SpecError, nearest
from robustness.importers.known_tasks import OPDA_REFERENCES, opda_task
from robustness.importers.reading import learning_rate, lines, number, parse_json, shape, share, whole
from robustness.importers.runs import Advance, Format, Run, epoch_row, until_death
from robustness.trial import EpochRecord, ImportedTask

__all__ = ["FORMAT", "format_of"]

PUBLISHED = {
    "alexnet_tuning.results.jsonl": "alexnet",
    "convnext-tiny_tuning.results.jsonl": "convnext-tiny",
    "resnet18_ablation.results.jsonl": "resnet18",
    "resnet18_residual.results.jsonl": "resnet18",
    "resnet18_tuning.results.jsonl": "resnet18",
}
"""The model of each file that opda publishes in this layout."""
DATASET = "imagenet"
OPTIMIZER = "sgd-momentum"
SETTINGS = (
    "epochs",
    "batch_size",
    "momentum",
    "weight_decay",
    "label_smoothing",
    "lr_peak_epoch",
    "use_blurpool",
)
REQUIRED = ("iteration", "lr", "momentum", "nan_train_loss", "learning_curve")
READ = {*SETTINGS, *REQUIRED}


def format_of(model: str) -> Format:
    """The format with the model that the user names, whatever the file is called.

    Args:
        model: a key of `OPDA_REFERENCES`.

    Raises:
        SpecError: it is none; the known ones are listed.
    """
    if model not in OPDA_REFERENCES:
        raise SpecError.of("--model", f"no model {model!r:.80}; {nearest(model, OPDA_REFERENCES)}")
    return replace(FORMAT, runs=partial(_runs, model=model))


def _files(path: Path) -> list[Path]:
    found = [path] if path.is_file() else sorted(file for file in path.glob("*.jsonl") if file.is_file())
    if len(found) != 1:
        raise SpecError.of(
            str(path), f"must be a .jsonl file, or a folder with one: it holds {len(found) or 'none'}"
        )
    return found


def _runs(file: Path, name: str, advance: Advance, model: str = "") -> Iterator[Run]:
    model = model or PUBLISHED.get(PurePosixPath(name).name, "")
    for at, line in lines(file, name):
        advance(len(line))
        if line.strip():
            where = f"{name}, line {at}"
            yield _run(shape(parse_json(line, where), where, "a run", dict), name, where, model)


def _run(plain: Mapping[str, Any], name: str, where: str, model: str) -> Run:
    for key in REQUIRED:
        if key not in plain:
            raise SpecError.of(where, f"is no run of opda: it has no {key!r}")
    died = plain["nan_train_loss"]
    if not isinstance(died, bool):
        raise SpecError.of(where, f"nan_train_loss must be true or false, got {died!r:.80}")
    curve = shape(plain["learning_curve"], where, "learning_curve", list)
    rows = _rows([shape(entry, where, f"learning_curve[{i}]", dict) for i, entry in enumerate(curve)], where)
    if not rows and not died:
        raise SpecError.of(where, "learning_curve is empty, which only a run with nan_train_loss may have")
    dead = [not math.isfinite(row.train_loss) for row in rows]
    if died and not any(dead):
        rows, dead = [*rows, epoch_row(len(rows) + 1)], [*dead, True]
    iteration = whole(plain["iteration"], where, "iteration")
    return Run(
        file=name,
        item=where.rpartition(" ")[2],
        task=f"{DATASET}-{model}" if model else DATASET,
        optimizer=OPTIMIZER,
        settings={key: plain[key] for key in SETTINGS if key in plain},
        lr=learning_rate(plain["lr"], where),
        seed=iteration,
        facts={"model": model},
        nonfinite=died or any(dead),
        epochs=until_death(rows, dead),
        rest={key: value for key, value in plain.items() if key not in READ}
        | {"learning_curve top_5": [entry.get("top_5") for entry in curve]},
    )


def _rows(curve: Sequence[Mapping[str, Any]], where: str) -> list[EpochRecord]:
    """Rows with epochs from 1 and each epoch's own seconds: the log counts from 0 and adds time up."""
    rows, before = [], 0.0
    for i, entry in enumerate(curve):
        here = f"learning_curve[{i}]"
        if "top_1" not in entry or "train_loss" not in entry:
            raise SpecError.of(where, f"{here} has no top_1 or no train_loss")
        if "epoch" in entry and whole(entry["epoch"], where, f"{here}.epoch") != i:
            raise SpecError.of(where, f"{here}.epoch must be {i}, got {entry['epoch']!r:.40}")
        loss = number(entry["train_loss"], where, f"{here}.train_loss")
        time = number(entry.get("time"), where, f"{here}.time")
        top_1 = share(number(entry["top_1"], where, f"{here}.top_1"), where, f"{here}.top_1")
        rows.append(
            epoch_row(i + 1, train_loss=loss, train_loss_max=loss, test_accuracy=top_1, seconds=time - before)
        )
        before = time
    return rows


def _tasks(heads: Sequence[Run]) -> dict[str, ImportedTask]:
    return {head.task: opda_task(head.facts["model"]) for head in heads}


def _notes(heads: Sequence[Run], path: Path) -> list[str]:
    notes = [
        "a random search over all of its hyperparameters, one seed each: seed_index is the iteration",
        "test accuracy: top-1 on the ImageNet validation set, which the search itself was judged by",
    ]
    if not all(head.facts["model"] for head in heads):
        notes.append(
            f"{heads[0].file}: the name is not one of opda's files, so the model and its reference are not known; "
            f"--model names it ({', '.join(OPDA_REFERENCES)})"
        )
    return notes


# A random search has a setting a run: no label would hold two of them.
FORMAT = Format(files=_files, runs=_runs, tasks=_tasks, notes=_notes, label_fields=lambda heads: {})
