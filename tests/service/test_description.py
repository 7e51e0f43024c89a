"""The API does what its own description says, whatever is sent: no 5xx, no answer outside its schema."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from robustness.store import open_store
from tests.service.live import WRITE, Live, fill, live

EXAMPLES = int(os.environ.get("API_EXAMPLES", "50"))
"""For each operation; 1,000 before a release."""
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
SLOW = ("/report", "/figures/{name}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("tried")
    with open_store(str(folder / "store.db"), create=True) as store:
        fill(store)
        with live(store, folder, max_queued=10_000) as found:
            yield found


def operations() -> list[tuple[str, GenerationMode]]:
    """Each with right requests, and with wrong ones where there is something to get wrong."""
    from pathlib import Path

    from robustness.service import Access, Settings, Sites, Tokens, create_app

    folder = Path(os.devnull)
    access = Access(tokens=Tokens([WRITE]), sites=Sites.of("127.0.0.1", 80, tls=False))
    app = create_app(None, access, Settings(data=folder))  # type: ignore[arg-type]  # only described
    return [
        (f"{method.upper()} {path}", mode)
        for path, found in app.openapi()["paths"].items()
        for method, operation in found.items()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        if mode is GenerationMode.POSITIVE or {"parameters", "requestBody"} & set(operation)
    ]


@pytest.mark.parametrize(("operation", "mode"), operations(), ids=lambda part: getattr(part, "value", part))
def test_an_operation_keeps_to_its_description(operation: str, mode: GenerationMode, site: Live) -> None:
    headers = {"Authorization": f"Bearer {WRITE.secret}"}
    schema = schemathesis.openapi.from_url(f"{site.url}/api/v1/openapi.json", headers=headers)
    method, path = operation.split()
    drawn = schema[path][method].as_strategy(generation_mode=mode)
    few = EXAMPLES // 5 if path.endswith(SLOW) or mode is GenerationMode.NEGATIVE else EXAMPLES
    studies = st.sampled_from(["filled", "filled", "filled", None])

    @settings(
        max_examples=max(few, 1),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=drawn, study=studies)
    def keeps(case: schemathesis.Case[Any], study: str | None) -> None:
        if study is not None and "study" in case.path_parameters and method != "DELETE":
            case.path_parameters["study"] = study  # a drawn name is never there
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case.call_and_validate(checks=list(CHECKS), headers=headers)

    keeps()
    assert httpx.get(f"{site.url}/api/v1/health").status_code == 200


def test_every_operation_is_described_with_its_refusals(site: Live) -> None:
    for path, found in site.app.openapi()["paths"].items():
        for method, operation in found.items():
            assert operation["description"], (method, path)
            assert {"401", "403", "503"} <= set(operation["responses"]), (method, path)
            for parameter in operation.get("parameters", ()):
                described = parameter.get("description") or parameter["name"] == "descending"
                assert described, (method, path, parameter["name"])
