"""docs/from-krakend.md is true: every catalog on the page is served, and every conversation beside it is held."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager

from app.catalog.load import load_text
from app.main import create_app
from app.settings import Settings
from tests.fakes.issuer import SIGNER, jwk, key_set, token

PAGE = Path(__file__).parent.parent.parent / "docs/from-krakend.md"
BLOCK = re.compile(r"^#{2,3} (?P<title>[^\n]+)$|^```(?P<kind>json|yaml|text)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
REQUEST = re.compile(r"> (?P<method>[A-Z]+) (?P<target>\S+)(?: (?P<body>.+))?")
HEADER = re.compile(r"  (?P<name>[a-z-]+): (?P<value>.+)")
UPSTREAM = re.compile(r"    (?P<host>[\w.]+) (?P<method>[A-Z]+) (?P<target>\S+)(?: (?P<body>.+))? → (?P<answer>.+)")
ANSWER = re.compile(r"< (?P<status>\d{3})(?P<partial> partial)?(?: (?P<body>.+))?")
SOURCE = re.compile(r"    (?P<name>\w+): (?P<words>.+)")
CLAIMS = re.compile(r"<(\{.*\})>")

Asked = tuple[str, str, str, str]


@dataclass
class Exchange:
    """One request of a client, what upstreams are asked meanwhile and say, and the answer."""

    method: str
    target: str
    body: str | None
    headers: dict[str, str] = field(default_factory=dict)
    upstream: list[tuple[Asked, str]] = field(default_factory=list)
    status: int = 0
    is_partial: bool = False
    answer: str | None = None
    sources: dict[str, set[str]] = field(default_factory=dict)


@dataclass
class Section:
    """A part of the page: a form of KrakenD's, a catalog, a conversation."""

    title: str
    forms: list[str] = field(default_factory=list)
    catalogs: list[str] = field(default_factory=list)
    conversations: list[str] = field(default_factory=list)


def sections() -> list[Section]:
    """The page's parts that have code in them."""
    found: list[Section] = []
    for match in BLOCK.finditer(PAGE.read_text()):
        if match["title"]:
            found.append(Section(match["title"]))
        else:
            {"json": found[-1].forms, "yaml": found[-1].catalogs, "text": found[-1].conversations}[match["kind"]].append(match["text"])
    return [section for section in found if section.forms or section.catalogs or section.conversations]


def canonical(body: str | None) -> str:
    """A JSON text without its spaces, in its own order."""
    return json.dumps(json.loads(body), ensure_ascii=False) if body else ""


def exchanges(text: str) -> Iterator[Exchange]:
    """A conversation's requests, one after another. Every line of it must be understood."""
    current: Exchange | None = None
    for line in text.splitlines():
        if match := REQUEST.fullmatch(line):
            if current is not None:
                yield current
            current = Exchange(match["method"], match["target"], match["body"])
        elif current is None:
            pytest.fail(f"no request before: {line}")
        elif match := ANSWER.fullmatch(line):
            current.status, current.is_partial, current.answer = int(match["status"]), bool(match["partial"]), match["body"]
        elif current.status and (match := SOURCE.fullmatch(line)):
            current.sources[match["name"]] = set(match["words"].split(", "))
        elif match := UPSTREAM.fullmatch(line):
            current.upstream.append(((match["host"], match["method"], match["target"], canonical(match["body"])), match["answer"]))
        elif match := HEADER.fullmatch(line):
            current.headers[match["name"]] = CLAIMS.sub(lambda found: token(**json.loads(found[1])), match["value"])
        else:
            pytest.fail(f"not understood: {line}")
    if current is not None:
        yield current


class Cast:
    """The upstreams of a conversation: each answers what the page says, once; whatever else it is asked is an error."""

    def __init__(self) -> None:
        self.script: list[tuple[Asked, str]] = []
        self.surprises: list[Asked] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """One request to an upstream."""
        body = (await request.aread()).decode()
        asked = (request.url.host, request.method, request.url.raw_path.decode(), canonical(body))
        at = next((i for i, (expected, _) in enumerate(self.script) if expected == asked), None)
        if at is None:
            self.surprises.append(asked)
            return httpx.Response(599)
        return await self.play(request, self.script.pop(at)[1])

    async def play(self, request: httpx.Request, answer: str) -> httpx.Response:
        """An answer as the page writes it."""
        if answer == "hangs":
            await asyncio.get_running_loop().create_future()
        if answer == "refused":
            raise httpx.ConnectError("refused", request=request)
        if answer == "keys":
            return httpx.Response(200, content=key_set(jwk(SIGNER, "main")))
        status, _, body = answer.partition(" ")
        kind = "application/xml" if body.startswith("<") else "application/json" if re.match(r'["\[{\d]', body) else "text/plain"
        return httpx.Response(int(status), content=body.encode(), headers={"content-type": kind} if body else {})


def words(source: dict[str, Any]) -> set[str]:
    """What a source says of its call, as the page writes it."""
    error = source.get("error") or {}
    return {source["status"], error.get("type", "-"), str(source.get("http_status")), source.get("cache", "-"), f"{source['attempts']} attempts"}


def check(exchange: Exchange, response: httpx.Response) -> None:
    """The answer is the page's: status, completeness, data (keys in order), how calls went."""
    assert response.status_code == exchange.status, response.text
    complete = response.headers.get("merganser-complete")
    document: Any = response.json() if "json" in response.headers["content-type"] else response.text
    if complete is not None and response.is_success:
        assert complete == str(not exchange.is_partial).lower()
        assert document["complete"] is not exchange.is_partial
        assert json.dumps(document["data"]) == json.dumps(json.loads(exchange.answer or ""))
    elif exchange.answer is not None:
        assert document == exchange.answer
    for name, told in exchange.sources.items():
        assert told <= words(document["sources"][name])


@pytest.mark.parametrize("section", [section for section in sections() if section.catalogs], ids=lambda section: section.title)
async def test_every_conversation_is_held(section: Section, tmp_path: Path) -> None:
    """Each upstream is asked what the page says, once, and nothing more; the client gets what the page says."""
    [catalog], [conversation] = section.catalogs, section.conversations
    cast = Cast()
    loaded = load_text(catalog, folder=tmp_path, environ={})
    app = create_app(Settings(_env_file=None, log_level="error"), loaded, transport=httpx.MockTransport(cast))
    async with (
        LifespanManager(app) as running,
        httpx.AsyncClient(transport=httpx.ASGITransport(running.app), base_url="http://merganser.test") as client,
    ):
        for exchange in exchanges(conversation):
            cast.script = list(exchange.upstream)
            sent = {**exchange.headers, **({"content-type": "application/json"} if exchange.body else {})}
            response = await client.request(exchange.method, exchange.target, headers=sent, content=exchange.body)
            assert (cast.surprises, cast.script) == ([], []), exchange.target
            check(exchange, response)


def test_every_form_has_its_counterpart() -> None:
    """Each section has one catalog and one conversation; KrakenD's side is JSON."""
    for section in sections():
        assert (len(section.catalogs), len(section.conversations)) == (1, 1), section.title
        for form in section.forms:
            json.loads(form)


def test_the_table_of_contents_lists_every_section() -> None:
    """Each once, in the page's order."""
    page = PAGE.read_text()
    anchors = [re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^### (.+)$", page, re.MULTILINE)]
    assert re.findall(r"\]\(#([a-z-]+)\)", page) == ["word-by-word", "what-will-surprise-you", *anchors]
