"""The JavaScript client in a real browser: it subscribes, sees updates, loses its connection, and resumes."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.cuttable import Cuttable
from tests.fakes.served import load, serve
from tests.fakes.upstream import Asked, FakeUpstream, Line, answer

playwright = pytest.importorskip("playwright.async_api", reason="needs the extra `browser`")
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.filterwarnings("default")]
CLIENT = Path(__file__).parent.parent.parent / "app" / "console" / "merganser.js"
PAGE = """<!doctype html><script type="module">
import { Merganser } from "/merganser.js";
window.log = [];
window.live = new Merganser("ws://127.0.0.1:PORT/ws", { status: (text) => log.push({ status: text }) });
window.feed = live.subscribe("x", {}, { change: (state, message) => log.push({ kind: message.type, parts: message.part ?? message.data }) });
window.whole = live.subscribe("whole", {}, {});
window.missing = new Promise((resolve) => live.subscribe("no_such", {}, { error: (payload) => resolve(payload.code) }));
</script>"""


class Page:
    """The page under test and what is behind it."""

    def __init__(self, page: Any, proxy: Cuttable, values: dict[str, Any]) -> None:
        self.page, self.proxy, self.values = page, proxy, values

    async def until(self, expression: str, within: float = 8) -> None:
        """Waits until the expression is true in the page."""
        await self.page.wait_for_function(expression, timeout=within * 1000)

    async def log(self) -> list[dict[str, Any]]:
        """What the client told."""
        return list(await self.page.evaluate("log"))


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """A page that uses the client, its connection through a proxy that can be cut."""
    values: dict[str, Any] = {"/a": 1, "/b": {"n": 1}}

    async def script(asked: Asked, line: Line) -> None:
        await line.send(answer(json.dumps(values[asked.path]).encode()))

    async def static(asked: Asked, line: Line) -> None:
        is_page = asked.path == "/"
        text = PAGE.replace("PORT", str(proxy.port)) if is_page else CLIENT.read_text()
        status = 200 if is_page or asked.path == "/merganser.js" else 404
        await line.send(answer(text.encode(), status, kind="text/html" if is_page else "text/javascript"))

    async with FakeUpstream(script) as upstream, FakeUpstream(static) as site:
        calls = {"a": {"upstream": "u", "path": "/a"}, "b": {"upstream": "u", "path": "/b"}}
        catalog = {
            "upstreams": {"u": {"url": upstream.url}},
            "cors": {"origins": [site.url]},
            "endpoints": {
                "x": {"get": "/x", "calls": calls, "live": {"every": "200ms"}},
                "whole": {"get": "/whole", "calls": calls, "response": {"merge": ["b"]}, "live": {"every": "200ms"}},
            },
        }
        async with serve(load(catalog, tmp_path)) as served, Cuttable(served.port) as proxy, playwright.async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            opened = await browser.new_page()
            await opened.goto(site.url + "/")
            yield Page(opened, proxy, values)
            await browser.close()


async def test_it_subscribes_sees_updates_loses_its_connection_and_resumes(page: Page) -> None:
    """After the loss only what changed meanwhile is sent, and the state is whole again."""
    await page.until("feed.phase === 'live' && feed.state.a === 1 && feed.state.b.n === 1 && feed.complete")
    assert await page.page.evaluate("missing") == "unknown_endpoint"
    page.values["/a"] = 2
    await page.until("feed.state.a === 2")
    epoch = await page.page.evaluate("feed.position.epoch")
    before, made = len(await page.log()), page.proxy.made

    page.proxy.is_down = True
    page.proxy.cut()
    await page.until("log.some((entry) => entry.status === 'reconnecting')")
    page.values["/b"] = {"n": 2}
    await asyncio.sleep(0.5)
    page.proxy.is_down = False
    await page.until("feed.state.b.n === 2", within=15)
    assert page.proxy.made > made
    assert await page.page.evaluate("feed.position.epoch") == epoch
    assert await page.page.evaluate("feed.state") == {"a": 2, "b": {"n": 2}}
    sent = {entry["parts"] for entry in (await page.log())[before:] if entry.get("kind") == "part"}
    assert sent <= {"b"}, "only what changed meanwhile"

    page.values["/a"] = 3
    await page.until("feed.state.a === 3 && whole.state.n === 2")


async def test_a_gap_in_the_chain_is_resumed(page: Page) -> None:
    """An update that does not follow on what was received is not applied: the client asks for what it lacks."""
    await page.until("feed.phase === 'live'")
    await page.page.evaluate("void (feed.position.offset -= 1, window.old = feed.id)")
    page.values["/a"] = 7
    await page.until("feed.id !== old && feed.phase === 'live' && feed.state.a === 7")


async def test_closing_ends_everything(page: Page) -> None:
    """No handler is called, and no connection made, after it."""
    await page.until("feed.phase === 'live'")
    await page.page.evaluate("feed.close()")
    before = len(await page.log())
    page.values["/a"] = 9
    await asyncio.sleep(0.7)
    assert len(await page.log()) == before
    await page.page.evaluate("live.close()")
    made = page.proxy.made
    await asyncio.sleep(1)
    assert page.proxy.made == made
