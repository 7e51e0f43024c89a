"""Addresses of pages. All that a page shows is in its address, so that a link shows the same to whoever opens it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlencode

from robustness.errors import StoreMissing

__all__ = [
    "COMPARE",
    "NEW",
    "SHADES",
    "STUDIES",
    "View",
    "api",
    "query_of",
    "study_at",
    "study_named",
    "study_path",
]

STUDIES, COMPARE, NEW = "/", "/compare", "/new"
SHADES = {
    "diverged": "Diverged",
    "nonfinite": "Not finite",
    "not-trained": "Not trained",
    "score": "Score",
    "difference": "Difference of two",
}
"""What a study's heatmap can show, and what the switch calls it."""


def study_path(name: str) -> str:
    """A study's page; names are ids and need no escape."""
    return f"/studies/{name}"


def query_of(search: str | None) -> dict[str, str]:
    """The fields of an address's query; of one that is there twice, the last."""
    return {key: values[-1] for key, values in parse_qs((search or "").lstrip("?")).items()}


def study_named(path: str) -> str | None:
    """The study of whose page this is the path."""
    found = re.fullmatch(r"/studies/([A-Za-z0-9._-]{1,64})", path)
    return found[1] if found else None


def study_at(path: str) -> str:
    """The same, where a page is one of a study.

    Raises:
        StoreMissing: it is not, any more.
    """
    name = study_named(path)
    if name is None:
        raise StoreMissing("there is no such study")
    return name


def api(name: str, what: str = "", **query: str | None) -> str:
    """The API's address of a study, or of something of it."""
    given = urlencode({key: value for key, value in query.items() if value is not None})
    return f"/api/v1/studies/{name}{what}{'?' if given else ''}{given}"


MOST_CHARACTERS = 400
"""Of a field of an address, as of the API's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What of a study its page shows.

    Attributes:
        task: a label; the first where None.
        shade: of `SHADES`.
        optimizer: the only one that the heatmap shows; all where None.
        a: of a pair, an optimizer's label.
        b: another's.
        cell: "optimizer,lr,init" of the square whose trials are listed.
        trial: the key of the trial whose curve is drawn.
        first: how many trials of the square come before the listed ones.
        figure: which further figure.
    """

    task: str | None = None
    shade: str = "diverged"
    optimizer: str | None = None
    a: str | None = None
    b: str | None = None
    cell: str | None = None
    trial: str | None = None
    first: int = 0
    figure: str = "curves"

    @classmethod
    def of(cls, search: str | None) -> View:
        """Of an address's query; what it does not know is left out."""
        # Each link of the page repeats them: a long one would be there a thousand times.
        given = {key: text for key, text in query_of(search).items() if len(text) <= MOST_CHARACTERS}
        known = {key: given[key] for key in cls.__slots__ if key in given and key != "first"}
        first = given.get("first", "0")
        view = cls(**known, first=int(first) if re.fullmatch(r"[0-9]{1,7}", first) else 0)
        return view if view.shade in SHADES else replace(view, shade="diverged")

    def with_(self, **changes: Any) -> View:
        """The same but for these; another square has other trials."""
        if changes.keys() & {"task", "cell"}:
            changes = {"trial": None, "first": 0, **changes}
        if "task" in changes:
            changes = {"cell": None, **changes}
        return replace(self, **changes)

    def search(self) -> str:
        """The query: what differs from the defaults."""
        usual = asdict(View())
        return urlencode({key: value for key, value in asdict(self).items() if value != usual[key]})

    def href(self, study: str, **changes: Any) -> str:
        """The address of this view of a study, with these changes."""
        query = self.with_(**changes).search()
        return f"{study_path(study)}{'?' if query else ''}{query}"
