"""`make screenshots`: the demo as people see it, written to docs/images/. Look at them before you commit them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from playwright.async_api import Page, expect

from tests.fakes.browser import Opens, browser

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LATENCY = "150"
"""Milliseconds of distance to the sample upstreams: enough to see bars grow."""
TRAFFIC = (
    "/trips/MAD", "/trips/KEF", "/board/LHR", "/tours?stops=LIS&stops=KEF", "/delays/CDG", "/delays/MAD", "/airports?q=lond", "/flights/MAD/NRT",
)  # fmt: skip
WIDE = {"width": 1440, "height": 960}


@asynccontextmanager
async def demo() -> AsyncIterator[str]:
    """`merganser demo` on a free port, under some traffic."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [sys.executable, "-m", "app", "demo", "--port", str(port), "--latency", LATENCY]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "MERGANSER_LOG_LEVEL": "error"})  # noqa: ASYNC220
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url, timeout=5) as client:
        try:
            await _until_ready(client)
            traffic = asyncio.create_task(_ask(client))
            await asyncio.sleep(45)
            yield url
            traffic.cancel()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


async def _until_ready(client: httpx.AsyncClient) -> None:
    for _ in range(300):
        await asyncio.sleep(0.2)
        try:
            if (await client.get("/readyz")).status_code == 200:
                return
        except httpx.TransportError:
            continue
    raise SystemExit("the demo did not start")


async def _ask(client: httpx.AsyncClient) -> None:
    while True:
        await asyncio.gather(*(client.get(path) for path in TRAFFIC))
        await asyncio.sleep(0.3)


async def _take(page: Page, name: str, *, full: bool = False) -> None:
    await page.mouse.move(2, 2)
    await page.screenshot(path=IMAGES / f"{name}.png", full_page=full)
    sys.stdout.write(f"docs/images/{name}.png\n")


async def _console(opens: Opens, url: str) -> None:
    async with opens(f"{url}/console#trip?iata=VIE", viewport=WIDE) as page:
        await page.wait_for_timeout(500)
        await page.locator("#run").click()
        await expect(page.locator(".row[data-state=ok]")).not_to_have_count(0)
        await page.wait_for_timeout(60)
        await _take(page, "console-running")
        await expect(page.locator("#status")).to_contain_text("omplete")
        await page.wait_for_timeout(900)
        await _take(page, "console")
    async with opens(f"{url}/console#board", viewport=WIDE, color_scheme="dark") as page:
        await page.locator("#live").click()
        await expect(page.locator("#status")).to_contain_text("2 updates", timeout=20_000)
        await expect(page.locator("td .changed")).not_to_have_count(0, timeout=20_000)
        await _take(page, "console-live-dark")
    async with opens(f"{url}/console#delays?iata=CDG", viewport=WIDE) as page:
        await _explain_until(page, re.compile("retried|hedged"))
        await _take(page, "console-explain")
    async with opens(f"{url}/console#airports?limit=90", viewport=WIDE) as page:
        await page.locator("#run").click()
        await expect(page.locator("#trouble")).to_be_visible()
        await page.wait_for_timeout(600)
        await _take(page, "console-problem")
    phone = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
    async with opens(f"{url}/console#flight", **phone) as page:
        await page.locator("#run").click()
        await expect(page.locator("#status")).to_contain_text("omplete")
        await page.wait_for_timeout(900)
        await _take(page, "console-phone")


async def _explain_until(page: Page, wanted: re.Pattern[str]) -> None:
    """The delays upstream is in poor health by dice: asks until they have fallen."""
    for airport in ("AMS", "FRA", "VIE", "ARN", "CPH", "OSL", "HEL", "WAW", "PRG", "BUD", "ATH", "DUB", "ZRH", "BRU", "LUX", "BCN"):
        await page.locator("#field-iata").fill(airport)
        await page.locator("#explain").click()
        await expect(page.locator("#status")).to_contain_text("omplete")
        if wanted.search(await page.locator("#waterfall").inner_text()):
            break
    await page.wait_for_timeout(900)


async def _docs(opens: Opens, url: str) -> None:
    for name, scheme in (("docs", "light"), ("docs-dark", "dark")):
        async with opens(f"{url}/docs", viewport=WIDE, color_scheme=scheme) as page:
            await page.evaluate("document.fonts.ready")
            await _take(page, name)


async def main() -> None:
    """Takes them all."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    async with demo() as url, browser() as opens:
        await _console(opens, url)
        await _docs(opens, url)


if __name__ == "__main__":
    asyncio.run(main())
