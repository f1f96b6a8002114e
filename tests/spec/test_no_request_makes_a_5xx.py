"""Whatever fits our own OpenAPI, or just does not, is answered as it says: no 5xx but the declared 502, 503 and 504.

Requests are made by schemathesis from `/openapi.json`; upstreams answer well and badly (`tests/fakes/weather.py`).
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from requests.exceptions import ContentDecodingError
from schemathesis import Case, GenerationMode
from schemathesis.config import ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.python.asgi import shutdown_lifespans
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.catalog.load import load_text
from app.main import create_app
from app.settings import Settings
from tests.fakes.issuer import SIGNER, jwk, key_set, token
from tests.fakes.weather import Weather

ROOT = Path(__file__).parent.parent.parent
CATALOGS = [*sorted((ROOT / "config").glob("*.yaml")), ROOT / "tests/fakes/every_kind.yaml"]
EACH = int(os.environ.get("SOAK", "0")) // 500 or 6
"""Requests per operation and mode."""
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    positive_data_acceptance,
]
STREAMS = ("text/event-stream", "application/x-ndjson")
"""OpenAPI 3.1 has no words for one message of a stream."""
DECLARED = {502, 503, 504}
KEY = "a key of acme"
CREDENTIALS = st.sampled_from([{}, {"X-API-Key": KEY}, {"Authorization": f"Bearer {token(roles=['admin'])}"}, {"X-API-Key": "wrong"}])
ACCEPT = st.sampled_from(["application/json"] * 8 + ["text/event-stream", "application/x-ndjson", "*/*"])


def service(path: Path, folder: Path) -> FastAPI:
    """The service over a catalog; its files are in `folder`."""
    (folder / "jwks.json").write_bytes(key_set(jwk(SIGNER, "main")))
    environ = {"KEY_DIGEST": "sha256:" + hashlib.sha256(KEY.encode()).hexdigest(), "JWKS": str(folder / "jwks.json")}
    loaded = load_text(path.read_text(), folder=path.parent, environ=environ)
    return create_app(Settings(_env_file=None, log_level="error"), loaded, transport=httpx.MockTransport(Weather(7)))


@pytest.fixture
def closed() -> Iterator[None]:
    """Ends what schemathesis has started."""
    yield
    shutdown_lifespans()


def ask(operation: APIOperation, mode: GenerationMode, seen: Counter[int]) -> None:
    """Sends requests to one operation, and checks every answer."""

    @settings(
        max_examples=EACH, deadline=None, derandomize="SOAK" not in os.environ, database=None, print_blob=False,
        phases=[Phase.explicit, Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(mode), credentials=CREDENTIALS, accept=ACCEPT)
    def asked(case: Case, credentials: dict[str, str], accept: str) -> None:
        try:
            response = case.call(headers={**credentials, "Accept": accept})
        except ContentDecodingError:
            assert passes, "bytes of an upstream that are no gzip may pass, none of ours"
            return
        seen[response.status_code] += 1
        is_ours = not passes or response.headers.get("content-type") == ["application/problem+json"]
        if is_ours:
            about = f"{case.as_curl_command()} {response.status_code} {response.content[:500]!r}"
            assert response.status_code < 500 or response.status_code in DECLARED, about
            is_stream = response.status_code == 200 and accept in STREAMS
            case.validate_response(response, checks=CHECKS[:3] if is_stream else CHECKS)

    passes = "*/*" in operation.definition.raw["responses"]["200"]["content"]
    with suppress(Unsatisfiable) if mode.is_negative else nullcontext():  # everything fits
        asked()


@pytest.mark.slow
@pytest.mark.timeout(60 + EACH * 4)
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # it is the service's, in a thread beside
@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.stem)
def test_answers_are_as_documented(path: Path, tmp_path: Path, closed: None) -> None:
    """Statuses, types, headers and bodies, for requests that fit and for requests that do not."""
    streams = ProjectsConfig(default=ProjectConfig(max_stream_events=3))
    schema = schemathesis.openapi.from_asgi("/openapi.json", service(path, tmp_path), config=SchemathesisConfig(projects=streams))
    seen = Counter[int]()
    for result in schema.get_all_operations():
        for mode in GenerationMode:
            ask(result.ok(), mode, seen)
    assert seen[200], seen
