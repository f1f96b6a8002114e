"""Debian's chromium, driven: pages that remember what they complained of and whom they asked."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Page, async_playwright

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
REFUSED = "Failed to load resource: the server responded with a status of"
"""What chromium itself says of every answer that is an error."""


@dataclass
class Watch:
    """What a page did that it should not have done."""

    host: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def on(self, page: Page) -> None:
        """Listens to the page."""
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.on("websocket", lambda socket: self._asked(socket.url))

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not text.startswith(REFUSED):
            self.errors.append(text)

    def _asked(self, url: str) -> None:
        if urlsplit(url).netloc != self.host and not url.startswith(("data:", "blob:")):
            self.foreign.append(url)


Opens = Callable[..., AbstractAsyncContextManager[Page]]


@asynccontextmanager
async def browser() -> AsyncIterator[Opens]:
    """Gives `opens(url, **context)`: a page at the url, which must end without complaints and without asking another host."""
    async with async_playwright() as driver:
        chromium = await driver.chromium.launch(executable_path=shutil.which("chromium"), args=list(ARGUMENTS))

        @asynccontextmanager
        async def opens(url: str, **context: Any) -> AsyncIterator[Page]:
            options = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "no-preference", **context}
            tab = await chromium.new_context(**options)
            page = await tab.new_page()
            watch = Watch(urlsplit(url).netloc)
            watch.on(page)
            await page.goto(url)
            yield page
            await tab.close()
            assert not watch.errors
            assert not watch.foreign

        yield opens
        await chromium.close()
