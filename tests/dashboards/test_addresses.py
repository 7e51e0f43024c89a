"""What an address may say, and what a page makes of it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from robustness.dashboards.addresses import View

from tests.service.live import READ, Live


def test_a_field_that_is_too_long_is_left_out_before_every_link_repeats_it() -> None:
    assert View.of(f"?figure={'x' * 1_000}&cell=adam,1.0,default") == View(cell="adam,1.0,default")


def asked(served: Live, output: str, **given: str) -> httpx.Response:
    """A callback of the pages, as a browser sends it; fields that are not given are null."""
    headers = {"authorization": f"Bearer {READ.secret}"}
    wirings = httpx.get(f"{served.url}/_dash-dependencies", headers=headers).json()
    [wiring] = [one for one in wirings if output in one["output"] and not one["clientside_function"]]

    def values(kind: str) -> list[dict[str, Any]]:
        return [{**one, "value": given.get(one["id"])} for one in wiring[kind]]

    names = wiring["output"].strip(".").split("...")
    outputs = [dict(zip(("id", "property"), name.rsplit(".", 1), strict=True)) for name in names]
    body = {
        "output": wiring["output"],
        "outputs": outputs if wiring["output"].startswith("..") else outputs[0],
        "inputs": values("inputs"),
        "state": values("state"),
        "changedPropIds": [f"{wiring['inputs'][0]['id']}.{wiring['inputs'][0]['property']}"],
    }
    return httpx.post(
        f"{served.url}/_dash-update-component",
        content=json.dumps(body),
        headers={**headers, "content-type": "application/json"},
    )


@pytest.mark.parametrize(
    ("output", "given"),
    [("checked.children", {"spec": "name = '\ud800'"}), ("spec.value", {"url": "?from=\ud800"})],
)
def test_half_a_character_is_refused_in_words(served: Live, output: str, given: dict[str, str]) -> None:
    answer = asked(served, output, **given)
    assert answer.status_code in (200, 204)
    assert "Traceback" not in answer.text
