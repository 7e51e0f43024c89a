"""Tables and lists as one element of plain HTML.

Dash's renderer walks every component at every change: a table of two thousand cells as components takes it half a
minute. `assets/actions.js` puts the text in place, and lets its links change the page without loading it anew.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dash import html
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

__all__ = ["ago", "duration", "link", "raw", "rendered"]


def raw(text: str, **attributes: Any) -> html.Div:
    """An element with this HTML in it, whose text must be escaped: `rendered` and the writers of `tables` do that."""
    content: Any = {"data-html": text}
    return html.Div(**content, **attributes)


def rendered(template: str, **values: Any) -> str:
    """A template of `templates/`, with every value escaped but `Markup`."""
    return _TEMPLATES.get_template(f"{template}.html.j2").render(**values)


def link(text: str, href: str) -> Markup:
    """A link to a page."""
    return Markup('<a href="{}">{}</a>').format(href, text)


def duration(seconds: float) -> str:
    """In the largest unit that says it."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def ago(stamp: str) -> Markup:
    """When something was, as people say it; the exact time on hover."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds()
    text = "now" if seconds < 2 else f"{duration(seconds)} ago"
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(stamp, text)


_TEMPLATES = Environment(
    loader=PackageLoader("robustness.dashboards"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
_TEMPLATES.globals.update(duration=duration, ago=ago)
