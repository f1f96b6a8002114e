"""/metrics by the conventions of Prometheus, after traffic on every surface: names, units, help, types, and labels that nobody from outside makes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.catalog.load import Loaded
from app.core.errors import CallFailure
from tests.fakes.exposition import Family, lint, read
from tests.fakes.served import Served, load, serve
from tests.fakes.weather import Weather

CATALOG: dict[str, Any] = {
    "auth": {"k": {"type": "api_key", "keys": {"a": "sha256:" + "a" * 64}}},
    "upstreams": {
        "any": {
            "url": "http://any.test", "timeout": "300ms", "retry": {"backoff": "1ms"}, "breaker": {"minimum": 3, "failures": "10%", "open": "50ms"},
            "hedge": {"after": "1ms"}, "concurrency": {"max": 2, "queue": 1, "wait": "1ms"},
        },
        "kept": {"urls": ["http://one.test", "http://two.test"], "cache": {"ttl": "5ms", "stale_if_error": "1s"}, "rate": "500/s"},
        "function": {"python": "json:loads"},
    },
    "endpoints": {
        "plain": {
            "get": "/plain/{id}",
            "calls": {
                "a": {"upstream": "any", "path": "/a/{id}"}, "b": {"upstream": "kept", "path": "/b"},
                "f": {"upstream": "function", "args": {"s": "{id}"}}, "skipped": {"upstream": "any", "path": "/c", "when": "`false`"},
                "drifts": {"upstream": "kept", "path": "/d", "validate": "warn", "schema": {"type": "string"}},
            },
            "response": {"a": "{a}", "b": "{b}", "f": "{f}", "none": "{to_number(a)}", "nulled": "{sum(a.n)}"},
        },
        "live": {"get": "/live/{id}", "calls": {"a": {"upstream": "kept", "path": "/{id}"}}, "live": {"every": "100ms"}},
        "posted": {"post": "/posted", "calls": {"a": {"upstream": "any", "path": "/", "body": "{body}"}}},
        "secret": {"get": "/secret", "auth": ["k"], "calls": {"a": {"upstream": "any", "path": "/"}}},
        "limited": {"get": "/limited", "limit": {"rate": "1/m"}, "calls": {"a": {"upstream": "any", "path": "/"}}},
        "raw": {"get": "/raw", "proxy": {"upstream": "any", "path": "/raw"}},
    },
}  # fmt: skip
OURS = "merganser_"
FOREIGN = ("process_",)
"""Those of prometheus-client itself."""
SILENT = {"merganser_shared_store_up", "merganser_upstream_connect_duration_seconds", "merganser_budget_exhausted"}
"""What needs a Redis, a network, or more trouble than there is here."""


def allowed(loaded: Loaded) -> dict[str, set[str]]:
    """What each label may be: names of the catalog, and words of `docs/`."""
    catalog = loaded.catalog
    errors = {kind.type for kind in _kinds(CallFailure)} | {"", "cancelled"}
    return {
        "endpoint": {*catalog.endpoints, "-"}, "upstream": {*catalog.upstreams},
        "call": {call for endpoint in catalog.endpoints.values() for call in endpoint.calls},
        "origin": {origin for upstream in catalog.upstreams.values() for origin in upstream.origins},
        "method": {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "other"},
        "status": {str(code) for code in range(100, 600)} | {"ok", "stale", "fallback", "partial", "skipped", "failed"},
        "error": errors, "policy": {"retry", "hedge", "breaker", "concurrency", "rate"}, "outcome": {"hit", "miss", "stale", "coalesced"},
        "state": {"open", "half_open", "closed"},
    }  # fmt: skip


def _kinds(kind: type[Any]) -> list[type[Any]]:
    return [kind, *(one for below in kind.__subclasses__() for one in _kinds(below))]


async def passed(client: httpx.AsyncClient) -> None:
    """Bytes of the upstream, which may be no gzip though they are said to be."""
    with suppress(httpx.DecodingError):
        await client.get("/raw")


async def traffic(served: Served, dice: Random) -> None:
    """Every surface, and what clients make up."""
    noise = [f"x{dice.random()}", "ü%22%0A", "..%2f", "a" * 300]
    async with httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=10) as client:
        for _ in range(6):
            word = dice.choice(noise)
            asked = [
                *(client.get(f"/plain/{n}", headers={"accept": "*/*", "x-request-id": word.encode("ascii", "ignore").decode()}) for n in range(8)),
                client.get(f"/plain/{word}", headers={"accept": "application/x-ndjson"}), client.get(f"/{word}"),
                client.get("/live/1", headers={"accept": "application/x-ndjson"}), client.request(f"BREW{dice.randint(0, 99)}", "/plain/1"),
                client.post("/posted", json={"a": word}), client.post("/posted", content=b"{"), client.get("/secret"), client.get("/limited"),
                client.get("/limited"), passed(client), client.head("/plain/1"), client.get("/docs"), client.get("/healthz"),
            ]  # fmt: skip
            await asyncio.gather(*asked)
        async with client.stream("GET", "/live/2", headers={"accept": "text/event-stream"}) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("event: complete") or stream.status_code != 200:
                    break
    async with served.live() as live:
        await live.subscribe("live", {"id": dice.choice(noise)})
        await live.send({"type": "subscribe", "id": "2", "payload": {"endpoint": f"made up {dice.random()}"}})
        await live.next("error")


async def scraped(served: Served) -> dict[str, Family]:
    """The families of a real scrape."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(served.url + "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = read(answer.text)
    assert len(list(text_string_to_metric_families(answer.text))) == len(families), "as prometheus-client reads it"
    return families


@pytest.mark.slow
async def test_the_scrape_passes_the_lint(tmp_path: Path) -> None:
    """What promtool asks for; labels are of the catalog and of fixed lists; no counter goes back; noise makes no new series."""
    loaded, dice = load(CATALOG, tmp_path), Random(7)
    async with serve(loaded, httpx.MockTransport(Weather(7, share=0.4))) as served:
        await traffic(served, dice)
        before = await scraped(served)
        declared = served.service.telemetry.metrics.names
        for _ in range(8):  # faults come by chance: how many turns all kinds of trouble take depends on the machine
            await traffic(served, dice)
            after = await scraped(served)
            silent = {name for name in declared if not after[name if name in after else f"{name}_total"].samples}
            if silent <= SILENT:
                break
    assert not {name: wrong for name, family in after.items() if (wrong := lint(family))}
    bounds = allowed(loaded)
    for name, family in after.items():
        if name.startswith(FOREIGN):
            continue
        assert name.removeprefix(OURS) != name, "our prefix"
        for label, value in family.labels():
            assert label in ("le", "version", "python") or value in bounds[label], (name, label, value)
    for name, family in before.items():
        if family.type in ("counter", "histogram"):
            assert not [key for key, value in family.samples.items() if after[name].samples[key] < value], name
    assert silent <= SILENT, "traffic touches the rest"


def test_the_lint_finds_what_is_wrong() -> None:
    """Else it would say nothing of the rest."""
    good = 'a_total{x="\\"\\\\\\n"} 1\n'
    assert lint(read(f"# HELP a_total A.\n# TYPE a_total counter\n{good}")["a_total"]) == []
    for text, wrong in (
        ("# HELP a A.\n# TYPE a counter\na 1\n", "`_total`"),
        ("# HELP a_ms A.\n# TYPE a_ms gauge\na_ms 1\n", "`ms`"),
        ("# HELP a_total \n# TYPE a_total counter\na_total 1\n", "no help"),
        ("# HELP aB A.\n# TYPE aB gauge\naB 1\n", "snake case"),
        ('# HELP a A.\n# TYPE a gauge\na{b="1"} 1\na{c="1"} 1\n', "different labels"),
        ('# HELP a A.\n# TYPE a histogram\na_bucket{le="1.0"} 2\na_bucket{le="+Inf"} 1\na_count 1\na_sum 1\n', "add up"),
        ('# HELP a A.\n# TYPE a histogram\na_bucket{le="+Inf"} 2\na_count 1\na_sum 1\n', "not the count"),
    ):
        (family,) = read(text).values()
        assert any(wrong in said for said in lint(family)), text
    for text in (
        "a 1\n",
        "# HELP a A.\na 1",
        "# HELP a A.\na 1\na 1\n",
        '# HELP a A.\na{b="1} 1\n',
        "# HELP a A.\nb 1\n",
        "# HELP a A.\n# HELP a A.\n",
    ):
        with pytest.raises(AssertionError):
            read(text)
