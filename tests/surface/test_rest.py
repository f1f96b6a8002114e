"""An endpoint over HTTP, from the request to the answer's last header."""

import asyncio
import json
import re
from urllib.parse import unquote

import httpx
import pytest

from tests.fakes.service import Client, serving

PLACE = {"x": {"get": "/x", "calls": {"a": "/a", "b": "/b"}}}
ANSWERS = {"/a": {"n": 1}, "/b": [1, 2]}


async def test_an_answer_is_data_complete_and_sources() -> None:
    """The three keys of the envelope."""
    async with serving(PLACE, ANSWERS) as service:
        answer = await service.get("/x")
    body = answer.json()
    assert body.keys() == {"data", "complete", "sources"}
    assert (body["data"], body["complete"]) == ({"a": {"n": 1}, "b": [1, 2]}, True)
    assert body["sources"]["a"].keys() == {"status", "ms", "attempts", "http_status"}
    assert answer.headers["content-type"] == "application/json"


async def test_envelope_data_sends_data_alone() -> None:
    """Completeness and times are then in the headers."""
    async with serving({"x": {**PLACE["x"], "envelope": "data"}}, {"/a": {"n": 1}}) as service:
        answer = await service.get("/x")
    assert answer.json() == {"a": {"n": 1}, "b": None}
    assert answer.headers["merganser-complete"] == "false"
    assert re.fullmatch(r"a;dur=[\d.]+;start=[\d.]+, b;dur=[\d.]+;start=[\d.]+", answer.headers["server-timing"])


async def test_head_answers_as_get_without_a_body() -> None:
    """The same headers, the length included."""
    async with serving(PLACE, ANSWERS) as service:
        get, head = await service.get("/x"), await service.send("HEAD", "/x")
        stream = await service.send("HEAD", "/x", headers={"accept": "text/event-stream"})
        lost = await service.send("HEAD", "/nope")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == get.headers["etag"]
    assert (stream.status_code, stream.content, stream.headers["content-type"]) == (200, b"", "text/event-stream")
    assert (lost.status_code, lost.content) == (404, b"")


@pytest.mark.parametrize("sent", ["{tag}", '"other", {tag}', "*", "{opaque}"])
async def test_what_the_client_has_is_a_304(sent: str) -> None:
    """By the tag, compared weakly, in a list or `*`."""
    async with serving(PLACE, ANSWERS) as service:
        tag = (await service.get("/x")).headers["etag"]
        again = await service.get("/x", headers={"if-none-match": sent.format(tag=tag, opaque=tag.removeprefix("W/"))})
        other = await service.get("/x", headers={"if-none-match": '"other"'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert "content-type" not in again.headers
    assert other.status_code == 200


async def test_long_answers_are_compressed_for_those_who_take_it() -> None:
    """Over 1 KiB; the client's coding is in `Vary`."""
    async with serving(PLACE, {"/a": "x" * 5000, "/b": "y" * 100_000}) as service:
        packed = await service.get("/x", headers={"accept-encoding": "gzip;q=0.5"})
        plain = await service.get("/x", headers={"accept-encoding": "gzip;q=0"})
        problem = await service.get("/nope", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json()["data"] == plain.json()["data"]
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in problem.headers
    assert "accept-encoding" in packed.headers["vary"]


async def test_freshness_is_the_shortest_of_all_calls() -> None:
    """`no-store` without; `private` with a credential."""
    upstreams = {"long": {"url": "http://upstream.test", "cache": {"ttl": "5m"}}, "short": {"url": "http://upstream.test", "cache": {"ttl": "20s"}}}
    calls = {"a": {"upstream": "long", "path": "/a"}, "b": {"upstream": "short", "path": "/b"}}
    both = {"x": {"get": "/x", "calls": calls}, "y": {"get": "/y", "calls": {**calls, "c": "/a"}}, "z": {"post": "/z", "calls": calls}}
    async with serving(both, ANSWERS, upstreams=upstreams) as service:
        controls = [(await service.get(path)).headers["cache-control"] for path in ("/x", "/y")]
        posted = (await service.post("/z")).headers["cache-control"]
        private = (await service.get("/x", headers={"authorization": "Bearer a"})).headers["cache-control"]
    assert re.fullmatch(r"max-age=(19|20)", controls[0])
    assert (controls[1], posted) == ("no-store", "no-store")
    assert re.fullmatch(r"private, max-age=(19|20)", private)


async def test_vary_names_what_the_answer_depends_on() -> None:
    """Forwarded headers, header params, credentials, the form; `*` where all are forwarded."""
    x = {"get": "/x", "forward": {"headers": ["Accept-Language"]}, "params": {"x-n": {"in": "header"}}, "calls": {"a": "/a"}}
    async with serving({"x": x, "y": {"get": "/y", "forward": {"headers": "*"}, "calls": {"a": "/a"}}}, ANSWERS) as service:
        named, all_of_them = await service.get("/x"), await service.get("/y")
    assert named.headers["vary"] == "accept, accept-encoding, accept-language, x-n"
    assert all_of_them.headers["vary"] == "*"


async def test_the_request_id_is_the_clients_if_it_is_a_good_one() -> None:
    """It goes upstream too, and stands in problems; a bad one is replaced."""
    async with serving(PLACE, ANSWERS) as service:
        kept = await service.get("/x", headers={"x-request-id": "A.b_c-9"})
        made = await service.get("/nope", headers={"x-request-id": "new\x7fline"})
    assert kept.headers["x-request-id"] == "A.b_c-9"
    assert {r.headers["x-request-id"] for r in service.upstream.asked} == {"A.b_c-9"}
    assert re.fullmatch(r"[0-9a-f]{16}", made.headers["x-request-id"])
    assert made.json()["instance"] == made.headers["x-request-id"]


async def test_faults_of_params_and_body_are_told_together() -> None:
    """One 422 for the whole request, and nothing is asked."""
    add = {
        "post": "/add/{id}", "params": {"id": {"in": "path", "type": "integer"}, "q": {"in": "query", "required": True}},
        "body": {"schema": {"type": "object", "required": ["name"]}, "required": True}, "calls": {"a": {"path": "/a", "body": "{body}"}},
    }  # fmt: skip
    async with serving({"add": add}, ANSWERS) as service:
        answer = await service.post("/add/x", json={})
    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["errors"]] == [["path", "id"], ["query", "q"], ["body", "name"]]
    assert service.upstream.asked == []


async def test_a_forwarded_query_parameter_is_no_unknown_one() -> None:
    """Under `strict_query` too."""
    x = {"get": "/x", "strict_query": True, "params": {"q": {}}, "forward": {"query": ["page"]}, "calls": {"a": "/a"}}
    async with serving({"x": x}, ANSWERS) as service:
        statuses = [(await service.get(f"/x?{query}")).status_code for query in ("q=1&page=2", "q=1&other=2")]
    assert statuses == [200, 422]


async def test_a_wrong_method_says_which_are_right() -> None:
    """405 with Allow; OPTIONS tells the same without an error."""
    async with serving({"x": {"get": "/x", "calls": {"a": "/a"}}, "y": {"delete": "/x", "calls": {"a": "/a"}}}) as service:
        wrong, options, lost = await service.post("/x"), await service.send("OPTIONS", "/x"), await service.send("OPTIONS", "/nope")
    assert (wrong.status_code, wrong.headers["content-type"]) == (405, "application/problem+json")
    assert wrong.headers["allow"] == options.headers["allow"] == "GET, HEAD, DELETE, OPTIONS"
    assert (options.status_code, lost.status_code) == (204, 404)


async def test_our_own_paths_win_over_params() -> None:
    """They are literal."""
    async with serving({"x": {"get": "/{page}", "calls": {"a": "/{page}"}}}, {"/other": 1}) as service:
        own = [(await service.get(path)).json() for path in ("/healthz", "/readyz")]
        other = await service.get("/other")
    assert own == [{"status": "alive"}, {"status": "ready"}]
    assert other.json()["data"] == {"a": 1}


async def test_a_slash_in_a_segment_leads_to_none_of_our_pages() -> None:
    """It belongs to the segment's value; where no endpoint takes that, there is nothing."""
    async with serving({"x": {"get": "/{id}", "calls": {"a": "/a"}, "response": "{id}"}}, {"/a": 1}) as service:
        for path in ("console%2Fcatalog", "console%2fcatalog", "docs%2F"):
            assert (await service.get(f"/{path}")).json()["data"] == unquote(path)
    async with serving({"x": {"get": "/x", "calls": {"a": "/a"}}}) as service:
        assert [(await service.get(path)).status_code for path in ("/console/catalog", "/console%2Fcatalog")] == [200, 404]


async def test_no_slash_is_added_or_taken_away() -> None:
    """Another spelling is a 404, ours too."""
    async with serving(PLACE, ANSWERS) as service:
        statuses = [(await service.get(path)).status_code for path in ("/x/", "/healthz/", "//x", "/X")]
    assert statuses == [404] * 4


async def test_a_client_that_leaves_takes_its_calls_along() -> None:
    """`http.disconnect` is watched beside the work."""
    async with serving({"x": {"get": "/x", "calls": {"a": "/hang", "b": "/b"}}}, ANSWERS) as service:
        client = Client(service.app, "/x")
        await service.upstream.hanging.wait()
        await client.leave()
        await asyncio.sleep(0)
    assert (client.status, service.upstream.cancelled["/hang"]) == (0, 1)


async def test_a_cancelled_request_stays_cancelled() -> None:
    """A cancellation from outside is not taken for the client's going."""
    async with serving({"x": {"get": "/x", "calls": {"a": "/hang"}}}) as service:
        client = Client(service.app, "/x")
        await service.upstream.hanging.wait()
        client.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await client.task


async def test_failures_are_problems_that_show_nothing_of_the_inside() -> None:
    """RFC 9457, with the sources; the times of the calls are in the head."""
    failing = httpx.Response(500, text="at /srv/secret.py in upstream.test")
    async with serving({"x": {"get": "/x", "calls": {"a": {"path": "/a", "required": True}, "b": "/b"}}}, {"/a": failing}) as service:
        answer = await service.get("/x")
    assert (answer.status_code, answer.headers["content-type"]) == (502, "application/problem+json")
    assert answer.json()["sources"]["a"]["error"] == {"type": "status", "detail": "answered 500"}
    assert answer.headers["merganser-complete"] == "false"
    assert not re.search(r"secret|upstream\.test|\.py", answer.text + str(answer.headers))


async def test_the_clients_trace_goes_on() -> None:
    """With a span of our own; a broken one is replaced."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with serving({"x": {"get": "/x", "calls": {"a": "/a"}}}, ANSWERS) as service:
        await service.get("/x", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "tracestate": "a=1"})
        await service.get("/x", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01-more", "tracestate": "a=1"})
    kept, replaced = (request.headers for request in service.upstream.asked)
    assert re.fullmatch(rf"00-{trace}-(?!00f067aa0ba902b7)[0-9a-f]{{16}}-01", kept["traceparent"])
    assert kept["tracestate"] == "a=1"
    assert trace not in replaced["traceparent"]
    assert "tracestate" not in replaced


async def test_a_body_that_is_read_by_no_one_is_left_alone() -> None:
    """Only an endpoint that declares a body, or names it, looks at one."""
    async with serving({"x": {"post": "/x", "calls": {"a": "/a"}}}, ANSWERS) as service:
        answer = await service.post("/x", content=b"not json", headers={"content-type": "text/plain"})
    assert answer.status_code == 200


async def test_a_body_goes_on_as_parsed_and_written_anew() -> None:
    """Numbers of any size are exact; of two equal keys the last counts."""
    async with serving({"x": {"post": "/x", "calls": {"a": {"path": "/a", "body": "{body}"}}}}, ANSWERS) as service:
        sent = b' {"a": 1, "a": 123456789012345678901234567890, "b" : "\\u00f1"} '
        await service.post("/x", content=sent, headers={"content-type": "application/json"})
    assert json.loads(service.upstream.asked[0].content) == {"a": 123456789012345678901234567890, "b": "ñ"}
