"""Recompute every answer, table and sentence of these results from `spec.json` and `trials.parquet` alone.

.venv/bin/python studies/insgd/results/recompute.py            prints them
.venv/bin/python studies/insgd/results/recompute.py --check    exits 1 and says what differs from the files
.venv/bin/python studies/insgd/results/recompute.py --write    writes the files
.venv/bin/python studies/insgd/results/recompute.py --export sqlite:///results.db
                                                               takes spec and trials from a store first
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from findings import first_failure_finding

from robustness.report import overview
from robustness.spec import expand, parse
from robustness.store import open_store
from robustness.store.trial_frames import TRIAL_COLUMNS
from robustness.summary import Study, load_study, study_of_trials

RESULTS = Path(__file__).parent
README = RESULTS.parents[2] / "README.md"
BEGIN, END = "<!-- from digits-edge: begin -->", "<!-- from digits-edge: end -->"
"""Around what is computed in the README."""
WIDTH = 125
"""Of its lines."""
STUDIES = {"digits-edge": "robustness-lr-init-edge"}
"""Folders and the studies in them. Trials of the other folders are older and lack what the labels need."""
LABELS = ("outcome", "side", "evidence")
"""By the rule, from the rest: for readers who do not run it."""
LOSSES = ("l0", "train_loss", "min_train_loss", "max_train_loss", "max_loss_rise")
"""Training has them in float32, so that nothing is lost."""
COLUMNS = (
    *("task", "optimizer", "init", "reason", "lr", "seed_index", "state"),
    *LABELS,
    *("nonfinite", "stopped"),
    *LOSSES,
    *("validation_accuracy", "test_accuracy", "max_earlier_score"),
)
"""Of `trials.parquet`: what the rule and the sentences need."""


def read_study(folder: Path) -> Study:
    """The study of a folder, classified anew."""
    plain = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    space = expand(parse(plain))
    trials = pd.read_parquet(folder / "trials.parquet").drop(columns=list(LABELS))
    texts = ("task", "optimizer", "init", "reason", "state")
    kinds = {"seed_index": np.int64, **dict.fromkeys(texts, object)}
    trials = trials.reindex(columns=list(TRIAL_COLUMNS))
    return study_of_trials(
        name=plain["name"],
        title=plain["title"],
        question=plain["question"],
        spec=plain,
        environment=json.loads((folder / "versions.json").read_text(encoding="utf-8")),
        tasks={task.label: task.config for task in space.tasks},
        optimizers={optimizer.label: optimizer.config.as_dict() for optimizer, _ in space.optimizers},
        trials=trials.astype({name: kinds.get(name, float) for name in TRIAL_COLUMNS}),
    )


def export_study(study: Study, folder: Path) -> None:
    """Write a study's spec, versions and trials.

    Raises:
        ValueError: the files would give other labels than the store.
    """
    labels = pd.concat([study.complete, study.confirmed])[list(LABELS)]
    trials = pd.concat([study.trials, study.confirming]).sort_index().join(labels)[list(COLUMNS)]
    trials = trials.astype(
        dict.fromkeys(LOSSES, np.float32) | dict.fromkeys(("nonfinite", "stopped"), "boolean")
    )
    trials.to_parquet(folder / "trials.parquet", index=False, compression="zstd", compression_level=19)
    for name, content in (("spec", study.spec), ("versions", study.environment)):
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")
    changed = changed_labels(read_study(folder), folder)
    if changed:
        raise ValueError(f"{folder.name}: {changed:,} labels of the files differ from the store's")


def changed_labels(study: Study, folder: Path) -> int:
    """Of how many complete trials the labels that stand in `trials.parquet` differ from those computed anew."""
    labels = pd.concat([study.complete, study.confirmed])[list(LABELS)].astype(object)
    stored = pd.read_parquet(folder / "trials.parquet", columns=list(LABELS)).astype(object)
    return int((stored.loc[labels.index] != labels).any(axis=1).sum())


def texts(studies: dict[str, Study]) -> Iterator[tuple[Path, str]]:
    """Every file that is made of the trials, and what should stand in it."""
    for folder, study in studies.items():
        yield RESULTS / folder / "answer.md", overview(study)
        if folder == "digits-edge":
            finding = textwrap.fill(
                first_failure_finding(study),
                WIDTH,
                initial_indent="- ",
                subsequent_indent="  ",
                break_on_hyphens=False,
            )
            yield README, with_block(README.read_text(encoding="utf-8"), finding)


def with_block(text: str, block: str) -> str:
    """A text with what stands between its two markers replaced.

    Raises:
        ValueError: it does not have each marker once, in this order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise ValueError(f"the text must have {BEGIN} and then {END}, each once")
    return f"{before}{BEGIN}\n{block}\n{END}{after}"


def differences(path: Path, text: str) -> list[str]:
    """The lines in which a file differs from what should stand in it."""
    old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    lines = difflib.unified_diff(old, text.splitlines(), str(path), "recomputed", lineterm="", n=0)
    return list(lines)


def main() -> int:
    """Print, check or write; see the top of the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="exit 1 if a file differs, and say where")
    mode.add_argument("--write", action="store_true", help="write the files")
    parser.add_argument("--export", metavar="URL", help="take spec and trials from this store first")
    known = ", ".join(STUDIES)
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help=f"of {known}; all by default")
    options = parser.parse_args()
    folders = options.folders or list(STUDIES)
    for folder in folders:
        if folder not in STUDIES:
            parser.error(f"FOLDER must be one of {known}, got {folder!r:.80}")
    if options.export:
        with open_store(options.export) as store:
            for folder in folders:
                export_study(load_study(store, STUDIES[folder]), RESULTS / folder)
    studies = {folder: read_study(RESULTS / folder) for folder in folders}
    differing = []
    for folder, study in studies.items():
        changed = changed_labels(study, RESULTS / folder) if options.check else 0
        differing += [f"{folder}: {changed:,} labels differ from those computed anew"] if changed else []
    for path, text in texts(studies):
        if options.check:
            differing += differences(path, text)
        elif options.write:
            path.write_text(text, encoding="utf-8")
        else:
            print(f"# {path}\n\n{text}")
    print("\n".join(differing), end="\n" if differing else "")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
