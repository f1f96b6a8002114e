"""/docs in a real browser, without the internet: every endpoint with its plan, its params and a form that works."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.async_api", reason="needs the extra `browser`")
from playwright.async_api import expect

from tests.fakes.browser import Opens, browser
from tests.fakes.served import load, serve
from tests.fakes.upstream import FakeUpstream, always, answer

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.filterwarnings("default")]
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()


@pytest.fixture
async def docs(tmp_path: Path) -> AsyncIterator[tuple[str, Opens]]:
    """The docs of a small service."""
    async with FakeUpstream(always(answer(json.dumps({"n": 1}).encode()))) as upstream:
        calls = {"a": {"upstream": "u", "path": "/a"}, "b": {"upstream": "u", "path": "/b/{a.n}"}}
        catalog = {
            "name": "Letters", "upstreams": {"u": {"url": upstream.url}},
            "endpoints": {
                "both": {"get": "/both/{who}", "summary": "Two letters", "params": {"who": {"in": "path", "example": "x"}}, "calls": calls},
                "one": {"get": "/one", "calls": {"a": calls["a"]}},
            },
        }  # fmt: skip
        # an address that is not loopback, and no token: the docs, fonts included, are for everyone
        async with serve(load(catalog, tmp_path), host="0.0.0.0") as served, browser() as opens:  # noqa: S104
            yield f"{served.url}/docs", opens


async def test_each_endpoint_shows_its_plan_and_can_be_tried(docs: tuple[str, Opens]) -> None:
    """A diagram of its calls stands beside its params, and the form below asks it."""
    url, opens = docs
    async with opens(url) as page:
        await expect(page.locator("section")).to_have_count(2)
        assert await page.locator("#both svg .call text:not(.from)").all_text_contents() == ["a", "b"]
        await expect(page.locator("#both svg")).to_have_attribute("aria-label", "a starts at once; b waits for a.")
        await page.locator("#both button").click()
        await expect(page.locator("#both output")).to_contain_text("200 in")
        assert json.loads(await page.locator("#both pre").inner_text())["complete"] is True
        assert await page.evaluate("document.fonts.ready.then((fonts) => [...fonts].filter((f) => f.status === 'error').length)") == 0


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
async def test_they_can_be_read(docs: tuple[str, Opens], scheme: str, width: int) -> None:
    """WCAG AA in both themes; nothing wider than a phone."""
    url, opens = docs
    async with opens(url, color_scheme=scheme, viewport={"width": width, "height": 800}) as page:
        assert await page.evaluate(CONTRAST) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
