"""/console in a real browser: what a developer sees who tries an endpoint, follows it live, and looks at what failed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.async_api", reason="needs the extra `browser`")
from playwright.async_api import Page, expect

from tests.fakes.browser import Opens, browser
from tests.fakes.served import load, serve
from tests.fakes.upstream import Asked, FakeUpstream, Line, answer

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.filterwarnings("default")]
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()


@dataclass
class Site:
    """The console, and the upstream behind it: `values` by path, each held back while its gate is shut."""

    url: str
    opens: Opens
    values: dict[str, Any]
    gates: dict[str, asyncio.Event] = field(default_factory=dict)


PARAMS = {
    "who": {"in": "path", "pattern": "^[a-z]+$", "example": "ada", "description": "A name"},
    "count": {"in": "query", "type": "integer", "minimum": 1, "maximum": 5, "default": 3},
    "kind": {"in": "query", "enum": ["short", "long"]},
}
NAME = {"upstream": "u", "path": "/name", "method": "GET"}
PETS = {"upstream": "u", "path": "/pets", "query": {"of": "{name}"}}


def _catalog(upstream: str) -> dict[str, Any]:
    return {
        "name": "People",
        "upstreams": {"u": {"url": upstream, "breaker": {}, "retry": {"attempts": 2, "backoff": "1ms"}}},
        "endpoints": {
            "person": {
                "get": "/people/{who}", "summary": "Who somebody is", "tags": ["people"], "live": {"every": "150ms"},
                "params": PARAMS, "calls": {"name": {**NAME, "required": True}, "pets": PETS},
            },
            "note": {"post": "/notes", "body": {"schema": {"type": "object"}}, "calls": {"kept": NAME}},
            "raw": {"get": "/raw", "proxy": {"upstream": "u", "path": "/pets"}},
        },
    }  # fmt: skip


@pytest.fixture
async def site(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """A service of three endpoints with its console; a parameter `settings` of the test is what the service runs with."""
    settings = request.node.callspec.params.get("settings", {}) if hasattr(request.node, "callspec") else {}
    values: dict[str, Any] = {"/name": "Ada", "/pets": [{"name": "Rex", "age": 3}, {"name": "Tom", "age": 5}]}
    gates: dict[str, asyncio.Event] = {}

    async def script(asked: Asked, line: Line) -> None:
        if asked.path in gates:
            await gates[asked.path].wait()
        value = values[asked.path]
        status = value if type(value) is int else 200
        await line.send(answer(json.dumps(value).encode(), status))

    async with FakeUpstream(script) as upstream, serve(load(_catalog(upstream.url), tmp_path), **settings) as served, browser() as opens:
        yield Site(served.url, opens, values, gates)


async def test_a_run_draws_itself_as_parts_arrive(site: Site) -> None:
    """A call that has settled stands while the next still grows; then the answer is there, tables as tables."""
    site.gates["/pets"] = asyncio.Event()
    async with site.opens(f"{site.url}/console#person") as page:
        await expect(page.get_by_role("heading", name="Who somebody is")).to_be_visible()
        await expect(page.locator("#field-who")).to_have_value("ada")
        await expect(page.locator(".row[data-state=planned]")).to_have_count(2)
        await page.get_by_role("button", name="Run").click()
        await expect(page.locator(".row[data-state=ok]")).to_have_count(1)
        await expect(page.locator(".row[data-state=running]")).to_have_count(1)
        await expect(page.locator(".part", has_text="Ada")).to_be_visible()
        await expect(page.locator("#status")).to_have_text("Asking …")
        site.gates["/pets"].set()
        await expect(page.locator("#status")).to_contain_text("Complete")
        await expect(page.locator("#calls-said")).to_have_text("it waited for name, then pets")
        await expect(page.locator("td", has_text="Rex")).to_be_visible()
        await page.get_by_role("button", name="JSON").click()
        assert json.loads(await page.locator("#json").inner_text()) == {"name": "Ada", "pets": site.values["/pets"]}


async def test_live_stays_and_changes_flash(site: Site) -> None:
    """Only what has changed flashes; switching it off ends the subscription."""
    async with site.opens(f"{site.url}/console#person") as page:
        live = page.get_by_role("switch", name="Live")
        await live.click()
        await expect(page.locator("#status")).to_contain_text("Live")
        await expect(page.locator("td", has_text="Rex")).to_be_visible()
        assert await page.locator(".changed").count() == 0
        site.values["/pets"] = [{"name": "Rex", "age": 4}, {"name": "Tom", "age": 5}]
        await expect(page.locator(".changed")).to_have_text(["4"])
        await expect(page.locator("#status")).to_contain_text("1 update")
        await live.click()
        await expect(live).to_have_attribute("aria-checked", "false")
        site.values["/name"] = "Grace"
        await asyncio.sleep(0.4)
        await expect(page.locator(".part", has_text="Grace")).to_have_count(0)


async def test_hands_can_stay_on_the_keyboard(site: Site) -> None:
    """`/` filters, Enter chooses, Tab reaches every control in order, Ctrl+Enter runs, Escape stops; focus is seen."""
    async with site.opens(f"{site.url}/console") as page:
        await expect(page.locator("#shell")).to_be_visible()
        await page.keyboard.press("/")
        await page.keyboard.type("pers")
        await expect(page.locator("#endpoints li:visible")).to_have_count(1)
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{site.url}/console#person")
        await page.locator("#field-who").focus()
        stops = []
        for _ in range(6):
            stops.append(await page.evaluate("document.activeElement.id"))
            assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            await page.keyboard.press("Tab")
        assert stops == ["field-who", "field-count", "field-kind", "run", "live", "explain"]
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#status")).to_contain_text("Complete")
        await page.locator("#live").focus()
        await page.keyboard.press("Space")
        await expect(page.locator("#live")).to_have_attribute("aria-checked", "true")
        await page.keyboard.press("Escape")
        await expect(page.locator("#live")).to_have_attribute("aria-checked", "false")


async def test_a_form_knows_its_params(site: Site) -> None:
    """Ranges, enums and defaults are said; a fault of the server stands at its field, in words; a link carries the values."""
    async with site.opens(f"{site.url}/console#person?who=bob&count=9") as page:
        await expect(page.locator("#field-who")).to_have_value("bob")
        assert await page.locator("#field-kind option").all_inner_texts() == ["any", "short", "long"]
        await expect(page.locator("#field-count-hint")).to_have_text("1 to 5, 3 if left empty")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#field-count-fault")).to_have_text("must be at most 5")
        await expect(page.locator("#field-count")).to_be_focused()
        await expect(page.locator("#trouble")).to_contain_text("Some values do not fit")
        await page.locator("#field-who").fill("")
        await page.get_by_role("button", name="Run").click()
        await expect(page.locator("#field-who-fault")).to_have_text("needs a value")
        await page.locator("#field-who").fill("eve")
        await page.locator("#field-count").fill("2")
        await page.locator("#field-kind").select_option("long")
        await page.get_by_role("button", name="Run").click()
        await expect(page.locator("#status")).to_contain_text("Complete")
        assert page.url == f"{site.url}/console#person?who=eve&count=2&kind=long"


async def test_failures_are_told_in_words(site: Site) -> None:
    """A required call that fails is a problem with its calls; an optional one leaves an incomplete answer."""
    async with site.opens(f"{site.url}/console#person") as page:
        site.values["/pets"] = 500
        await page.get_by_role("button", name="Run").click()
        await expect(page.locator("#status")).to_contain_text("Incomplete")
        await expect(page.locator(".row[data-state=failed]")).to_contain_text("status: answered 500")
        site.values["/name"] = 500
        await page.get_by_role("button", name="Run").click()
        await expect(page.locator("#trouble")).to_contain_text("A system behind this has failed")
        await expect(page.locator("#trouble")).to_contain_text("Failed: name.")
        await expect(page.locator(".row[data-state=unasked]")).to_have_count(1)


async def test_bodies_and_what_passes_through(site: Site) -> None:
    """A POST sends its JSON; a proxied endpoint shows what came."""
    async with site.opens(f"{site.url}/console#note") as page:
        await page.locator("#field-body").fill("{no")
        await page.get_by_role("button", name="Run").click()
        await expect(page.locator("#field-body-fault")).to_contain_text("is no JSON")
        await page.locator("#field-body").fill('{"a": 1}')
        await page.get_by_role("button", name="Run").click()
        await expect(page.locator("#status")).to_contain_text("Complete")
        await expect(page.locator("#live")).to_be_disabled()
        await page.locator("#endpoints a", has_text="raw").click()
        await page.get_by_role("button", name="Run").click()
        await expect(page.locator("td", has_text="Tom")).to_be_visible()


async def test_an_explanation_says_what_each_call_did(site: Site) -> None:
    """The critical path and the notes of the policies stand at the calls."""
    site.values["/pets"] = 503
    async with site.opens(f"{site.url}/console#person") as page:
        await page.get_by_role("button", name="Explain").click()
        await expect(page.locator("#calls-said")).to_have_text("it waited for name, then pets")
        await expect(page.locator(".row", has_text="pets")).to_contain_text("retried after")
        await expect(page.locator(".row", has_text="pets")).to_contain_text("policies: coalesce, retry, breaker")


async def test_upstreams_show_how_they_stand(site: Site) -> None:
    """Idle before the first call; then attempts, latency and the breaker."""
    async with site.opens(f"{site.url}/console#person") as page:
        card = page.locator(".upstream", has_text="u")
        await expect(card).to_contain_text("idle")
        await page.get_by_role("button", name="Run").click()
        await expect(card).to_contain_text("p95")
        await expect(card).to_contain_text("breaker closed")
        await expect(card.locator("svg .now")).to_have_count(1)


@pytest.mark.parametrize("settings", [{"admin_token": "open sesame", "host": "0.0.0.0"}])  # noqa: S104 - what the rule looks at
async def test_the_token_is_asked_for_by_the_page(site: Site, settings: dict[str, str]) -> None:
    """A wrong one is refused in words; the right one opens, and is remembered by this tab alone."""
    async with site.opens(f"{site.url}/console#person") as page:
        await expect(page.locator("#gate")).to_be_visible()
        await expect(page.locator("#token")).to_be_focused()
        await page.keyboard.type("guess")
        await page.keyboard.press("Enter")
        await expect(page.locator("#gate-fault")).to_have_text("That token does not fit.")
        await page.locator("#token").fill(settings["admin_token"])
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Who somebody is")).to_be_visible()
        await page.get_by_role("button", name="Explain").click()
        await expect(page.locator("#calls-said")).to_contain_text("it waited for")
        await page.reload()
        await expect(page.locator("#shell")).to_be_visible()
        assert await page.evaluate("document.cookie + JSON.stringify(localStorage)") == '{"merganser.theme":""}'


async def test_a_phone_shows_all_of_it(site: Site) -> None:
    """Nothing is wider than the screen, and what is touched is large enough to touch (WCAG 2.5.8: 24 px)."""
    async with site.opens(f"{site.url}/console#person", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True) as page:
        await page.get_by_role("button", name="Run").tap()
        await expect(page.locator("#status")).to_contain_text("Complete")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        heights = await page.evaluate(
            "[...document.querySelectorAll('button, input, select, #endpoints a')].filter(e => e.offsetHeight).map(e => e.offsetHeight)"
        )
        assert min(heights) >= 24


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_can_be_read(site: Site, scheme: str) -> None:
    """WCAG AA: 4.5 to 1, and 3 to 1 for large text, in both themes, with an answer and with a failure on the page."""
    async with site.opens(f"{site.url}/console#person", color_scheme=scheme, reduced_motion="reduce") as page:
        await page.get_by_role("button", name="Run").click()
        await expect(page.locator("#status")).to_contain_text("Complete")
        assert await page.evaluate(CONTRAST) == []
        site.values["/name"] = 500
        await page.get_by_role("button", name="Run").click()
        await expect(page.locator("#trouble")).to_be_visible()
        assert await page.evaluate(CONTRAST) == []


async def test_the_theme_can_be_chosen(site: Site) -> None:
    """System, light, dark; the choice is kept."""
    async with site.opens(f"{site.url}/console", color_scheme="light") as page:
        button = page.locator("#theme")
        light = await _paper(page)
        await button.click()
        await button.click()
        await expect(button).to_contain_text("Dark")
        assert await _paper(page) != light
        await page.reload()
        await expect(button).to_contain_text("Dark")
        assert await _paper(page) != light


async def _paper(page: Page) -> str:
    return str(await page.evaluate("getComputedStyle(document.body).backgroundColor"))


async def test_live_that_is_stopped_at_once_complains_of_nothing(site: Site) -> None:
    """Also where the connection is not open yet."""
    async with site.opens(f"{site.url}/console#person") as page:
        await expect(page.locator("#shell")).to_be_visible()
        await page.evaluate("for (let n = 0; n < 6; n++) document.getElementById('live').click()")
        await expect(page.locator("#live")).to_have_attribute("aria-checked", "false")
        await page.wait_for_timeout(300)


async def test_a_row_that_moves_is_no_change(site: Site) -> None:
    """Rows are told apart by what is unique in them: only the new one flashes when a list moves up."""
    async with site.opens(f"{site.url}/console#person") as page:
        await page.locator("#live").click()
        await expect(page.locator("td", has_text="Tom")).to_be_visible()
        site.values["/pets"] = [{"name": "Tom", "age": 5}, {"name": "Kit", "age": 1}]
        await expect(page.locator(".changed")).to_have_text(["Kit"])
