"""/console: who may see it, what its documents say, and that its files ask no other host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from app.api.console import STATIC
from tests.fakes.service import serving

ENDPOINTS: dict[str, Any] = {
    "x": {
        "get": "/x/{id}", "summary": "X", "tags": ["t"], "live": {"every": "5s"}, "auth": ["partner"],
        "params": {"id": {"in": "path", "example": "a"}, "n": {"in": "query", "type": "integer", "minimum": 1}},
        "calls": {"a": {"path": "/a", "required": True}, "b": {"path": "/b/{a}", "when": "n", "after": ["c"]}, "c": "/c"},
    },
    "any": {"get": "/{one}/{two}", "calls": {"a": "/a"}},
}  # fmt: skip
AUTH = {"partner": {"type": "api_key", "header": "X-Key", "keys": {"k": "sha256:" + "0" * 64}}}
DOCUMENTS = ("/console/catalog", "/console/upstreams")
FOLDER = Path(__file__).parents[2] / "app" / "console"


async def test_on_loopback_all_is_there() -> None:
    """The page, its files, both documents; every file that is shipped is served."""
    async with serving(ENDPOINTS, auth=AUTH) as service:
        answers = [await service.get(path) for path in ("/console", *DOCUMENTS, *(f"/console/{name}" for name in STATIC))]
        missing = await service.get("/console/no.js")
    assert {answer.status_code for answer in answers} == {200}
    assert missing.status_code != 200
    shipped = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc", ".txt")}
    assert shipped - {"index.html"} == set(STATIC)


async def test_with_a_token_the_page_asks_and_the_documents_refuse() -> None:
    """The page comes as a 401 that can ask; no challenge makes the browser ask in a window of its own."""
    async with serving(ENDPOINTS, auth=AUTH, admin_token="t") as service:
        page = await service.get("/console")
        refused = [await service.get(path) for path in DOCUMENTS]
        given = [await service.get(path, headers={"authorization": "Bearer t"}) for path in ("/console", *DOCUMENTS)]
        script = await service.get("/console/console.js")
    assert (page.status_code, page.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert {answer.status_code for answer in refused} == {401}
    assert {answer.headers["www-authenticate"] for answer in [page, *refused]} == {'Bearer realm="operating"'}
    assert {answer.status_code for answer in given} == {200}
    assert script.status_code == 200
    assert "x/{id}" not in page.text


@pytest.mark.parametrize("path", ["/console", "/console/console.js", *DOCUMENTS])
async def test_without_a_token_and_off_loopback_nothing_is(path: str) -> None:
    """403, the files included."""
    async with serving(ENDPOINTS, auth=AUTH, host="0.0.0.0") as service:  # noqa: S104 - what the rule looks at
        assert (await service.get(path)).status_code == 403


async def test_the_catalog_says_what_a_form_and_a_waterfall_need() -> None:
    """Params with their rules, calls with whom they wait for, credentials by header; no address of an upstream."""
    async with serving(ENDPOINTS, auth=AUTH) as service:
        answer = await service.get("/console/catalog")
    x = answer.json()["endpoints"][0]
    assert x["params"][1] == {
        "name": "n", "in": "query", "required": False, "schema": {"type": "integer", "minimum": 1}, "description": None, "example": None,
    }  # fmt: skip
    assert x["auth"] == [{"name": "partner", "type": "api_key", "header": "X-Key"}]
    assert [(call["name"], call["needs"], call["after"], call["when"]) for call in x["calls"]] == [
        ("a", [], [], None),
        ("b", ["a"], ["c"], "n"),
        ("c", [], [], None),
    ]
    assert (x["parts"], x["live_s"], x["deadline_ms"], x["body"]) == (["a", "b", "c"], 5.0, 2000.0, False)
    assert "upstream.test" not in answer.text


async def test_upstreams_say_how_they_stand() -> None:
    """The state's snapshot, and latency in pieces of ten seconds."""
    async with serving({"y": {"get": "/y", "calls": {"a": "/a"}}}, {"/a": 1}) as service:
        await service.get("/y")
        told = (await service.get("/console/upstreams")).json()
    (u,) = told["upstreams"]
    assert (u["name"], u["kind"], u["state"], u["in_flight"]) == ("u", "http", "up", 0)
    assert sum(piece["attempts"] for piece in u["slices"]) == 1
    piece = u["slices"][-1]
    assert piece["at"] == told["now"]
    assert 0 < piece["p50"] == piece["p95"]


async def test_the_page_asks_no_other_host_and_runs_no_script_of_its_own() -> None:
    """The policy allows this host's files alone; no inline script or style; no file names another host."""
    async with serving(ENDPOINTS, auth=AUTH) as service:
        page = await service.get("/console")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", page.text)
    for path in FOLDER.rglob("*.[chj]*s*"):
        text = path.read_text()
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|[\"'(]//", text), path.name
