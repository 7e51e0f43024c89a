"""Sections of pages that the server fills: off the event loop, kept while a study does not change, errors in words."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Hashable
from typing import Any

import anyio
import anyio.to_thread
import dash
from dash import Output, html, no_update
from plotly.utils import PlotlyJSONEncoder

from robustness.errors import RobustnessError
from robustness.service import Reader
from robustness.service.answers import Answer
from robustness.store import Standing
from robustness.summary import Study

__all__ = ["Sections"]

THREADS = 16
"""For all pages together: who opens many of them takes none of the API's threads."""


class Sections:
    """What pages register their callbacks with."""

    def __init__(self, app: dash.Dash, reader: Reader) -> None:
        """Of this application, from this reader."""
        self.app = app
        self.reader = reader
        self._threads = anyio.CapacityLimiter(THREADS)

    def fill(self, target: str, *given: Any) -> Callable[[Callable[..., Any]], None]:
        """Fill the element `target` with what the decorated function returns, whenever one of `given` changes."""
        return self.answer(Output(target, "children"), *given)

    def answer(self, *wiring: Any) -> Callable[[Callable[..., Any]], None]:
        """Wire a function that reads the store: it runs in a thread, and a user's mistake becomes a sentence."""
        outputs = sum(isinstance(part, Output) for part in wiring)

        def register(work: Callable[..., Any]) -> None:
            @self.app.callback(*wiring)
            @functools.wraps(work)
            async def call(*args: Any) -> Any:
                # Dash would run it in the loop that every other request waits for.
                return await anyio.to_thread.run_sync(_worded, work, args, outputs, limiter=self._threads)

        return register

    def kept(self, name: str, what: Hashable, make: Callable[[Study, Standing], Any]) -> Any:
        """The components that `make` gives of a study, kept until the study changes.

        Args:
            name: of the study.
            what: all that they depend on, beside the study.
            make: gives components; a user's mistake is a `RobustnessError`.

        Raises:
            StoreMissing: no study of that name.
        """

        def encoded(study: Study, standing: Standing) -> Answer:
            text = json.dumps(make(study, standing), cls=PlotlyJSONEncoder)
            return Answer.of(text, "application/json")

        return json.loads(self.reader.answer(name, ("page", what), encoded).body)


def _worded(work: Callable[..., Any], args: tuple[Any, ...], outputs: int) -> Any:
    """What `work` returns; a user's mistake in words, in the first of the outputs."""
    try:
        return work(*args)
    except (RobustnessError, UnicodeEncodeError) as error:
        known = isinstance(error, RobustnessError)
        text = str(error) if known else "The address or the text has half a character in it."
        said = html.P(text, role="alert", className="refused")
        return said if outputs == 1 else (said, *[no_update] * (outputs - 1))
