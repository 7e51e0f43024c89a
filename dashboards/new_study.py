"""A new study: a form that writes a spec, the spec to edit or to paste, and what the server says of it as it is typed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from dash import ClientsideFunction, Input, Output, State, dcc, html

from robustness.catalog import DATASETS, INITS, MODELS, OPTIMIZERS
from robustness.errors import SpecError
from robustness.service import Reader, Settings
from robustness.service.submitting import checked
from robustness.spec import StudySpec
from robustness.store.activity import stored_spec

from .addresses import query_of
from .estimates import estimate
from .sections import Sections

__all__ = ["add_callbacks", "layout"]

_SHOWN_OPTIMIZERS = ("insgd", "sgd-frozen", "sgd-layerwise", "sgd", "adam", "adamw", "adagrad", "rmsprop")


def layout() -> html.Div:
    """The page: form, spec, check, launch."""
    return html.Div(
        [
            html.H1("New study"),
            html.P(
                "The form writes the spec below it; edit that freely, or paste one. What the server says of it stands under it."
            ),
            html.Details([html.Summary("Form"), _form()], open=True),
            html.Label("Spec (TOML, or JSON beginning with a brace)", htmlFor="spec"),
            dcc.Textarea(id="spec", spellCheck=False, value="", className="spec"),
            html.Div(html.P("Reading…", className="wait"), id="checked", role="status"),
            html.Div(
                html.Button("Launch", id="launch", disabled=True, className="strong"), className="toolbar"
            ),
        ]
    )


def _form() -> html.Div:
    def field(text: str, name: str, **more: Any) -> html.Div:
        return html.Div(
            [html.Label(text, htmlFor=f"form-{name}"), dcc.Input(id=f"form-{name}", debounce=0.4, **more)]
        )

    def choice(text: str, name: str, options: Sequence[str], value: str) -> html.Fieldset:
        return _pressed(text, name, options, [value], "one", value)

    def choices(text: str, name: str, options: Sequence[str], value: list[str]) -> html.Fieldset:
        return _pressed(text, name, options, value, "any", value)

    return html.Div(
        [
            field("Name", "name", type="text", value="my-study"),
            choice("Data", "data", list(DATASETS.names), "digits"),
            choice("Model", "model", list(MODELS.names), "mlp"),
            field("Epochs", "epochs", type="number", min=1, value=10),
            field("Batch size", "batch", type="number", min=1, value=64),
            choices("Optimizers", "optimizers", _SHOWN_OPTIMIZERS, ["insgd", "sgd", "adam"]),
            field("Lowest learning rate", "low", type="text", value="1e-4"),
            field("Highest learning rate", "high", type="text", value="10"),
            field("Learning rates", "points", type="number", min=1, value=11),
            choices("Initializations", "inits", list(INITS.names), ["default", "kaiming-normal"]),
            field("Seeds", "seeds", type="number", min=1, value=5),
        ],
        className="form",
    )


def _pressed(
    text: str, name: str, options: Sequence[str], chosen: Sequence[str], choose: str, value: Any
) -> html.Fieldset:
    """Buttons that are pressed or not: Dash's own lists of boxes say nothing to a screen reader."""
    buttons = []
    for option in options:
        marks: Any = {"data-choice": option, "aria-pressed": "true" if option in chosen else "false"}
        buttons.append(html.Button(option, type="button", className="choice", **marks))
    marks = {"data-choose": choose, "data-store": f"form-{name}"}
    return html.Fieldset([html.Legend(text), dcc.Store(id=f"form-{name}", data=value), *buttons], **marks)


_CHOSEN = ("data", "model", "optimizers", "inits")
"""Fields that are buttons."""
_FIELDS = (
    "name",
    "data",
    "model",
    "epochs",
    "batch",
    "optimizers",
    "low",
    "high",
    "points",
    "inits",
    "seeds",
)


def add_callbacks(sections: Sections, settings: Settings) -> None:
    """Write the spec, check it, launch it."""
    reader = sections.reader

    @sections.answer(
        Output("spec", "value"),
        Input("page", "children"),
        *(Input(f"form-{name}", "data" if name in _CHOSEN else "value") for name in _FIELDS),
        State("url", "search"),
        State("spec", "value"),
    )
    def write(_: Any, *given: Any) -> Any:
        *values, search, present = given
        fields = dict(zip(_FIELDS, values, strict=True))
        if present:
            return _toml(fields)
        origin = query_of(search).get("from", "")
        return _spec_of(reader, origin) if origin else _quickstart()

    @sections.answer(Output("checked", "children"), Output("launch", "disabled"), Input("spec", "value"))
    def check(text: str | None) -> Any:
        if not (text or "").strip():
            return html.P("Nothing to check."), True
        try:
            return _checked(reader, settings, text or ""), False
        except SpecError as error:
            problems = [html.Li([html.Code(one.path), f" {one.message}"]) for one in error.problems]
            return html.Div(
                [html.P(f"{len(problems)} to mend:"), html.Ul(problems)], className="refused"
            ), True

    sections.app.clientside_callback(
        ClientsideFunction("robustness", "launch"),
        Output("url", "href"),
        Output("said", "children", allow_duplicate=True),
        Input("launch", "n_clicks"),
        State("spec", "value"),
        prevent_initial_call=True,
    )


def _toml(fields: dict[str, Any]) -> str:
    """The spec that the form stands for; what is wrong in it is said by the check, not here."""
    quoted = {key: _text(value) for key, value in fields.items()}
    optimizers = "\n".join(_optimizer(name) for name in fields["optimizers"] or ())
    inits = ", ".join(_text(name) for name in fields["inits"] or ())
    return f"""name = {quoted["name"]}

[[tasks]]
data = {quoted["data"]}
model = {quoted["model"]}
epochs = {_bare(fields["epochs"])}
batch_size = {_bare(fields["batch"])}

{optimizers}
[search]
lr = {{ low = {_bare(fields["low"])}, high = {_bare(fields["high"])}, points = {_bare(fields["points"])} }}
init = [{inits}]
seeds = {_bare(fields["seeds"])}
"""


def _optimizer(name: str) -> str:
    # Nobody runs them without, and a study of momentum's absence is written by hand.
    momentum = "momentum = 0.9\n" if any(a.name == "momentum" for a in OPTIMIZERS.get(name).arguments) else ""
    return f"[[optimizers]]\nname = {_text(name)}\n{momentum}"


def _text(value: Any) -> str:
    return json.dumps("" if value is None else value, ensure_ascii=False)  # TOML's basic strings are JSON's


def _bare(value: Any) -> str:
    """A number as it was typed; anything else as text, which the check refuses by name."""
    text = str("" if value is None else value).strip()
    return text if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text) else _text(text)


def _quickstart() -> str:
    text = files("robustness.studies").joinpath("quickstart.toml").read_text(encoding="utf-8")
    return text.partition("\n")[2] if text.startswith("#:schema") else text


def _spec_of(reader: Reader, name: str) -> str:
    plain = stored_spec(reader.store, name)
    if not plain:
        return ""
    plain["name"] = f"{name[:60]}-2"
    return StudySpec.model_validate(plain).model_dump_json(indent=2, exclude_defaults=True)


def _checked(reader: Reader, settings: Settings, text: str) -> list[Any]:
    kind = "json" if text.lstrip().startswith("{") else "toml"
    _, spec, space = checked(text.encode("utf-8", "surrogatepass"), f"application/{kind}", settings)
    told = [
        html.P(
            [
                html.Strong(space.size_text),
                f": {len(space.tasks)} task{'s' * (len(space.tasks) > 1)}, "
                f"{len(space.optimizers)} optimizers, {space.seeds} seeds. {estimate(reader, space)}",
            ],
            className="fits",
        )
    ]
    if any(standing.name == spec.name for standing in reader.queue.all()):
        told.append(
            html.P(f"There is a study {spec.name!r} already: choose another name.", className="refused")
        )
    return told
