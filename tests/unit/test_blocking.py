"""The service for code that blocks: scripts through `open_blocking`, a catalog's own functions through `ask`."""

from __future__ import annotations

import _thread
import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.problems import Problem
from app.blocking import Blocking, ask, in_background
from app.catalog.faults import CatalogFaults, CatalogUnreadable
from app.catalog.load import load_text
from app.core.asking import result_of
from app.main import open_blocking
from tests.fakes.service import Scripted, serving

CATALOG = """
upstreams:
  u: {url: "http://upstream.test", coalesce: false}
endpoints:
  bird:
    get: /birds/{name}
    params: {name: {in: path, type: string}, n: {in: query, type: integer, minimum: 1}}
    calls:
      bird: {upstream: u, path: "/birds/{name}", query: {n: "{n}"}, required: true}
      song: {upstream: u, path: /songs}
  hang: {get: /hang, deadline: 20s, calls: {it: {upstream: u, path: /hang}}}
  note:
    post: /notes
    body: {required: true, schema: {type: object, required: [text]}}
    calls: {it: {upstream: u, path: /notes, body: "{body}"}}
  raw: {get: /raw, proxy: {upstream: u, path: /raw}}
"""


@contextmanager
def opened(**answers: Any) -> Iterator[tuple[Blocking, Scripted]]:
    """The catalog above, over these answers (`/` and the name)."""
    upstream = Scripted({f"/{name}": answer for name, answer in answers.items()})
    with open_blocking(load_text(CATALOG, folder=Path(), environ={}), transport=httpx.MockTransport(upstream)) as service:
        yield service, upstream


def test_a_script_asks_and_waits() -> None:
    """Params keep their types; a partial answer is an answer, and says what failed."""
    with opened(**{"birds/duck": {"id": 7}, "songs": httpx.Response(500)}) as (service, upstream):
        answer = service.ask("bird", name="duck", n=2)
        assert answer.data.value == {"bird": {"id": 7}, "song": None}
        assert not answer.complete
        assert answer.outcomes["song"].status == "failed"
        assert {str(request.url) for request in upstream.asked} == {"http://upstream.test/birds/duck?n=2", "http://upstream.test/songs"}
        assert repr(service) == "<Blocking open>"
    assert repr(service) == "<Blocking closed>"


def test_params_may_come_in_a_mapping() -> None:
    """For names that are no identifiers, or `timeout`."""
    with opened(**{"birds/duck": 1, "songs": []}) as (service, _):
        assert service.ask("bird", {"name": "duck"}, n=1).complete


@pytest.mark.parametrize(
    ("endpoint", "params", "status", "says"),
    [
        ("brid", {}, 404, "did you mean 'bird'"),
        ("raw", {}, 405, "proxy"),
        ("bird", {"n": 1}, 422, "name"),
        ("bird", {"name": "duck", "n": 0}, 422, "n"),
        ("bird", {"name": "duck", "m": 1}, 422, "m"),
        ("bird", {"name": "none"}, 404, "says so"),
    ],
)
def test_what_cannot_be_answered_is_raised(endpoint: str, params: dict[str, Any], status: int, says: str) -> None:
    """As the problem that a client would get."""
    with opened(songs=[]) as (service, _), pytest.raises(Problem) as problem:
        service.ask(endpoint, params)
    assert problem.value.status == status
    assert says in problem.value.detail or says in [fault["loc"][-1] for fault in problem.value.errors or ()]


def test_a_body_is_held_to_its_schema() -> None:
    """And handed on."""
    with opened(notes=lambda request: httpx.Response(200, content=request.content)) as (service, _):
        assert service.ask("note", body={"text": "hi"}).data.value == {"it": {"text": "hi"}}
        for body in ({"txt": 1}, None):
            with pytest.raises(Problem) as problem:
                service.ask("note", body=body)
            assert problem.value.status == 422


def test_after_a_timeout_the_calls_are_cancelled_and_over() -> None:
    """TimeoutError comes when nothing runs any more."""
    with opened() as (service, upstream):
        with pytest.raises(TimeoutError):
            service.ask("hang", timeout=0.05)
        assert upstream.cancelled["/hang"] == 1


def test_several_threads_ask_at_once() -> None:
    """Three questions wait for one another: none blocks the loop."""
    together, arrived = asyncio.Event(), 0

    async def meet(request: httpx.Request) -> httpx.Response:
        nonlocal arrived
        arrived += 1
        if arrived == 3:
            together.set()
        await together.wait()
        return httpx.Response(200, json=1)

    with opened(**{"birds/duck": meet, "songs": []}) as (service, _), ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(service.ask, "bird", name="duck") for _ in range(3)]
        assert all(answer.result(10).complete for answer in answers)


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """Ctrl-C raises here, also where the tests run as a job in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield _thread.interrupt_main
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_cancels_the_question(ctrl_c: Callable[[], None]) -> None:
    """The service goes on."""
    with opened(**{"birds/duck": 1, "songs": []}) as (service, upstream):
        threading.Timer(0.2, ctrl_c).start()
        with pytest.raises(KeyboardInterrupt):
            service.ask("hang")
        assert service.ask("bird", name="duck").complete
        assert upstream.cancelled["/hang"] == 1


def test_closing_ends_the_questions_under_way() -> None:
    """Whoever asked in another thread is told; whoever asks later is refused."""
    with ThreadPoolExecutor(1) as pool, opened() as (service, upstream):
        begun = threading.Event()
        upstream.hanging.set = begun.set  # type: ignore[method-assign]
        waiting = pool.submit(service.ask, "hang")
        assert begun.wait(10)
    with pytest.raises(CancelledError):
        waiting.result(10)
    with pytest.raises(RuntimeError):
        service.ask("hang")


def test_the_loops_own_thread_cannot_wait_for_itself() -> None:
    """It would for ever."""

    async def wrong() -> int:
        return result_of(asyncio.sleep(0, 1), asyncio.get_running_loop())

    with pytest.raises(RuntimeError, match="block the event loop"):
        asyncio.run(wrong())


def test_a_catalog_that_is_wrong_is_told_before_anything_is_opened(tmp_path: Path) -> None:
    """As by `check`."""
    (tmp_path / "faulty.yaml").write_text("upstreams: {}\nendpoints: {x: {}}\n")
    for name, error in (("faulty", CatalogFaults), ("none", CatalogUnreadable)):
        with pytest.raises(error), open_blocking(tmp_path / f"{name}.yaml"):
            pass


@pytest.mark.parametrize("moment", ["opening", "closing"])
def test_what_fails_on_the_loop_is_raised_where_it_was_asked_for(moment: str) -> None:
    """While opening, or while closing."""

    @asynccontextmanager
    async def fails() -> AsyncIterator[int]:
        if moment == "opening":
            raise OSError(moment)
        yield 1
        raise OSError(moment)

    with pytest.raises(OSError, match=moment), in_background(fails) as (_, value):
        assert value == 1


# --- functions of a catalog

FUNCTIONS = """
import threading
from app.api.problems import Problem
from app.blocking import ask

told = []

def both(city):
    return {"first": ask("inner", city=city).data.value, "second": ask("inner", {"city": city + "!"}).data.value}

def status(endpoint):
    try:
        return ask(endpoint).data.value
    except Problem as problem:
        told.append(problem.status)
        return problem.status

async def on_the_loop():
    return ask("inner", city="x").data.value

def elsewhere():
    found = []
    def run():
        try:
            ask("inner", city="x")
        except RuntimeError as error:
            found.append(str(error))
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found
"""


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Makes a Python upstream of one of the functions above."""
    (tmp_path / "asking_functions.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name, **spec: {"python": f"asking_functions:{name}", **spec}


INNER = {"get": "/inner/{city}", "calls": {"it": "/it/{city}"}, "response": "{it}"}


async def test_a_function_asks_the_service_that_runs_it(functions: Callable[..., dict[str, Any]]) -> None:
    """The id of the request goes along, and nothing else of the client's."""
    outer = {"get": "/outer/{city}", "calls": {"f": {"upstream": "f", "args": {"city": "{city}"}}}, "response": "{f}"}
    answers = {"/it/rome": 1, "/it/rome!": 2}
    async with serving({"outer": outer, "inner": INNER}, answers, upstreams={"f": functions("both")}) as service:
        answer = await service.get("/outer/rome", headers={"x-request-id": "r-1", "cookie": "a=b"})
    assert answer.json()["data"] == {"first": 1, "second": 2}
    assert [request.headers["x-request-id"] for request in service.upstream.asked] == ["r-1", "r-1"]
    assert not any("cookie" in request.headers for request in service.upstream.asked)


async def test_a_question_ends_with_the_call_that_asks_it(functions: Callable[..., dict[str, Any]]) -> None:
    """Its function is released too: the answer that it waits for has failed by then."""
    outer = {"get": "/outer", "deadline": "150ms", "calls": {"f": {"upstream": "f", "args": {"endpoint": "slow"}}}}
    slow = {"get": "/slow", "deadline": "20s", "calls": {"it": "/hang"}}
    async with serving({"outer": outer, "slow": slow}, upstreams={"f": functions("status")}) as service:
        assert (await service.get("/outer")).status_code == 504
        async with asyncio.timeout(5):
            while not service.upstream.cancelled["/hang"]:  # noqa: ASYNC110 - it is counted
                await asyncio.sleep(0.01)


async def test_a_function_that_asks_for_itself_is_bounded_by_its_slots_and_its_time(functions: Callable[..., dict[str, Any]]) -> None:
    """No deadlock: the inner call waits for a slot until its time is up."""
    loop = {"get": "/loop", "deadline": "200ms", "calls": {"f": {"upstream": "f", "args": {"endpoint": "loop"}}}}
    async with serving({"loop": loop}, upstreams={"f": functions("status", concurrency=1)}) as service:
        assert (await service.get("/loop")).status_code in (200, 504)


async def test_an_async_function_cannot_wait_on_its_own_loop(functions: Callable[..., dict[str, Any]]) -> None:
    """It would stop the service: refused, and the call fails alone."""
    outer = {"get": "/outer", "calls": {"f": {"upstream": "f"}}}
    async with serving({"outer": outer, "inner": INNER}, upstreams={"f": functions("on_the_loop")}) as service:
        answer = await service.get("/outer")
    assert answer.json()["sources"]["f"]["error"]["type"] == "internal"


async def test_a_thread_of_the_functions_own_has_no_service(functions: Callable[..., dict[str, Any]]) -> None:
    """Nobody would bound its time."""
    outer = {"get": "/outer", "calls": {"f": {"upstream": "f"}}, "response": "{f[0]}"}
    async with serving({"outer": outer, "inner": INNER}, upstreams={"f": functions("elsewhere")}) as service:
        assert "run: thread" in (await service.get("/outer")).json()["data"]


def test_outside_of_a_function_there_is_nobody_to_ask() -> None:
    """A script has `open_blocking`."""
    with pytest.raises(RuntimeError, match="open_blocking"):
        ask("inner")
