"""What `robustness audit` says, section by section."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from robustness.phrases import counted
from robustness.summary.audit import AuditInfo, Section
from robustness.wording.warnings import finding_text

__all__ = ["SECTIONS", "audit_as_json", "section_text"]

SECTIONS = ("budgets", "missing", "edges", "defaults", "selection", "labels", "settings", "additions")
"""In the order in which a reviewer asks."""


def section_text(info: AuditInfo, name: str) -> str:
    """The findings of a section in sentences; where there are none, that all is well.

    Args:
        info: of the study.
        name: of the section, one of `SECTIONS`.
    """
    section: Section[Any] = getattr(info, name)
    # What is listed below needs no names; settings are what is asked for.
    texts = [finding_text(finding, with_rows=name == "settings") for finding in section.findings]
    if name == "budgets" and not any(finding.severity == "bad" for finding in section.findings):
        texts = [_budgets(info), *texts] if section.rows else texts
    return " ".join(texts) or _ALL_WELL[name].format(rows=counted(len(section.rows), "row"))


def _budgets(info: AuditInfo) -> str:
    rows = info.budgets.rows
    sizes = {row.task: row.trials for row in rows}
    if info.sampler == "edge":
        return f"{info.sampler} tried as much as each row needed, {sum(row.trials for row in rows):,} trials in all."
    if len(rows) == len(sizes):
        return "Each task has one optimizer, so there is no budget to compare."
    least, most = min(sizes.values()), max(sizes.values())
    by_task = f" to {most:,} by task" if most > least else " a task" if len(sizes) > 1 else ""
    return f"Every optimizer gets the same budget, {least:,} trials{by_task}."


_ALL_WELL = {
    "missing": "Every square has all seeds of its row.",
    "edges": "The optimum and its window lie inside what was tried in {rows}.",
    "labels": "Every label rests on its own trial, none is chaotic, and every row is monotone.",
    "settings": "Nothing that was logged as a number varies inside a row but the learning rate.",
}


def audit_as_json(info: AuditInfo) -> dict[str, Any]:
    """For JSON, which has no NaN: it is null. Each section has its verdict, text, codes and rows."""
    sections: dict[str, Any] = dict.fromkeys(SECTIONS)
    for name in SECTIONS:
        section: Section[Any] | None = getattr(info, name)
        if section is not None:
            sections[name] = {
                "verdict": section.verdict,
                "says": section_text(info, name),
                "codes": [finding.code.value for finding in section.findings],
                "rows": [_without_nan(asdict(row)) for row in section.rows],
            }
    return {"study": info.study, "title": info.title, **sections}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
