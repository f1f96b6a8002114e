"""Our own pages: documents, docs, health, metrics."""

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from tests.fakes.service import serving

PERSON = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "friend": {"$ref": "#"}}}
ENDPOINTS: dict[str, Any] = {
    "brief": {
        "get": "/cities/{city}", "summary": "One <city>", "params": {"city": {"in": "path", "pattern": "^[a-z]+$", "example": "madrid"}},
        "calls": {"who": {"path": "/who", "schema": PERSON, "required": True}, "more": "/more", "then": {"path": "/{who.name}", "after": ["more"]}},
        "response": {"name": "{who.name}", "friend": "{who.friend.name}", "whole": "{who}", "text": "{who.name}!",
                     "list": ["{more}", 1], "none": None},
    },
    "add": {"post": "/things", "body": {"schema": PERSON, "required": True}, "calls": {"a": {"path": "/who", "body": "{body}"}}},
    "merged": {"get": "/merged", "calls": {"a": "/who", "b": "/more"}, "response": {"merge": ["a", "b"]}},
    "brief.who": {"get": "/taken", "calls": {"a": "/who"}},
}  # fmt: skip
ANSWERS = {"/who": {"name": "Ann", "friend": {"name": "Bo"}}, "/more": [1]}


async def test_the_document_is_valid_and_true() -> None:
    """Real answers are what it says, references inside of schemas included."""
    async with serving(ENDPOINTS, ANSWERS, name="Ducks") as service:
        document = (await service.get("/openapi.json")).json()
        validate(document)
        for path, name in (("/cities/madrid", "/cities/{city}"), ("/merged", "/merged"), ("/taken", "/taken")):
            answer = await service.get(path)
            schema = document["paths"][name]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json())
        problem = await service.get("/cities/UP")
    schema = document["paths"]["/cities/{city}"]["get"]["responses"]["422"]["content"]["application/problem+json"]["schema"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(problem.json())
    assert document["info"]["title"] == "Ducks"
    assert document["paths"]["/things"]["post"]["requestBody"]["required"] is True


async def test_a_response_takes_the_schemas_of_what_it_names() -> None:
    """A field of a call the sub-schema; what may be missing may be null."""
    async with serving(ENDPOINTS, ANSWERS) as service:
        schemas = (await service.get("/openapi.json")).json()["components"]["schemas"]
    assert schemas["brief"]["properties"]["data"]["properties"] == {
        "name": {"type": "string"},
        "friend": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "whole": {"$ref": "#/components/schemas/brief.who"},
        "text": {"type": "string"},
        "list": {"type": "array", "prefixItems": [{}, {"const": 1}], "minItems": 2, "maxItems": 2},
        "none": {"type": "null"},
    }
    assert schemas["brief.who"]["properties"]["friend"] == {"$ref": "#/components/schemas/brief.who"}
    assert "brief.who_2" in schemas


async def test_the_docs_show_plans_and_ask_no_other_host() -> None:
    """One page under a strict policy, whatever the catalog's texts hold."""
    async with serving(ENDPOINTS, ANSWERS, description="a <script>alert(1)</script> b") as service:
        page = await service.get("/docs")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert page.text.count("<script>") == 1
    assert "One &lt;city&gt;" in page.text
    assert "more waits" not in page.text
    assert "then waits for who and the end of more" in page.text
    assert page.text.count("<svg") == 4
    assert not re.search(r"(?:src|href)=.(?:https?:)?//", page.text)
    assert "style=" not in page.text


async def test_readiness_ends_with_draining_and_life_does_not() -> None:
    """503 from the first signal on."""
    async with serving(ENDPOINTS) as service:
        service.app.state.draining = True
        ready, alive = await service.get("/readyz"), await service.get("/healthz")
    assert (ready.status_code, ready.json(), alive.status_code) == (503, {"status": "draining"}, 200)


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 200), ("localhost", 200), ("::1", 200), ("0.0.0.0", 403), ("merganser.example", 403)])  # noqa: S104
async def test_without_a_token_metrics_answer_on_a_loopback_bind_only(host: str, status: int) -> None:
    """Whatever address the request comes from."""
    async with serving(ENDPOINTS, host=host) as service:
        assert (await service.get("/metrics")).status_code == status


async def test_with_a_token_metrics_ask_for_it() -> None:
    """As a bearer, or as the password that a browser asks for."""
    async with serving(ENDPOINTS, admin_token="t:k") as service:
        without = await service.get("/metrics")
        wrong = await service.get("/metrics", headers={"authorization": "Bearer no"})
        odd = await service.get("/metrics", headers={"authorization": "Basic %%%"})
        bearer = await service.get("/metrics", headers={"authorization": "Bearer t:k"})
        basic = await service.get("/metrics", auth=("any", "t:k"))
    assert [answer.status_code for answer in (without, wrong, odd, bearer, basic)] == [401, 401, 401, 200, 200]
    assert without.headers.get_list("www-authenticate") == ['Bearer realm="operating"', 'Basic realm="operating"']


async def test_integers_of_any_size_may_stand_in_the_documents() -> None:
    """A default or a limit of a param, a constant of the answer."""
    big = 10**30
    endpoint = {"get": "/x", "params": {"n": {"in": "query", "type": "integer", "default": big, "maximum": big}},
                "calls": {"a": "/who"}, "response": {"n": big}}  # fmt: skip
    async with serving({"x": endpoint}, ANSWERS) as service:
        for path in ("/openapi.json", "/asyncapi.json", "/docs", "/x"):
            assert (await service.get(path)).status_code == 200, path
        assert str(big) in (await service.get("/openapi.json")).text


@pytest.mark.parametrize("path", ["/asyncapi.json", "/metrics", "/openapi.json", "/docs"])
async def test_our_pages_are_compressed(path: str) -> None:
    """Where the reader takes it."""
    async with serving({"x": {"get": "/x", "calls": {"a": "/a"}}}) as service:
        packed = await service.get(path, headers={"accept-encoding": "gzip"})
        plain = await service.get(path, headers={"accept-encoding": "identity"})
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "accept-encoding")
    assert "content-encoding" not in plain.headers


async def test_our_own_paths_are_ours_whatever_the_catalog_catches() -> None:
    """`/ws` too, where it is no WebSocket."""
    async with serving({"all": {"get": "/{b}", "calls": {"a": "/a"}}}, {"/a": 1}) as service:
        assert (await service.get("/other")).status_code == 200
        assert (await service.get("/ws")).status_code == 404
