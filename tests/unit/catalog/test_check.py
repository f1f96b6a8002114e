"""Faults of meaning: each rule with what breaks it, and what does not."""

from __future__ import annotations

import json
from typing import Any

import certifi
import pytest

from tests.unit.catalog.conftest import FaultsOf, Load

A = {"upstream": "u", "path": "/a"}
URL = "http://127.0.0.1:1"


def text(upstream: dict | None = None, call: dict | None = None, upstreams: dict | None = None, top: dict | None = None, **endpoint: Any) -> str:
    """A catalog of one upstream `u` and one endpoint `GET /x` with one call `a`; JSON is YAML."""
    one = {"get": "/x", "calls": {"a": {**A, **(call or {})}}, **endpoint}
    one = {key: value for key, value in one.items() if value is not ...}
    return json.dumps(
        {**(top or {}), "upstreams": {"u": {"url": URL, **(upstream or {})}, **(upstreams or {})}, "endpoints": {"x": one}}, ensure_ascii=False
    )


CLEAN: dict[str, dict[str, Any]] = {
    "nothing more": {},
    "url with a path": {"upstream": {"url": "https://api.example:8443/v1/"}},
    "a python upstream": {"upstreams": {"p": {"python": "json:loads"}}, "calls": {"a": {"upstream": "p", "args": {"s": "{request.id}"}}}},
    "graphql without a path": {"calls": {"g": {"upstream": "u", "graphql": "{ one }", "variables": {"a": "{request.id}"}}}},
    "item in what each repeats": {"calls": {"l": A, "a": {**A, "each": "l", "path": "/{item.id}", "query": {"q": "{item.x}"}, "when": "l"}}},
    "a fallback that names its own call": {"call": {"fallback": {"x": "{a}", "y": "{claims.sub}"}}},
    "select over the body": {"call": {"select": "anything[?x > `1`] | length(@)"}},
    "upstream headers with names": {"upstream": {"headers": {"x-id": "{request.id}", "x-c": "{claims.sub}"}}},
    "names of other calls in an upstream's header": {
        "upstreams": {"v": {"url": URL, "headers": {"x": "{a.x}"}}},
        "calls": {"a": A, "b": {**A, "upstream": "v"}},
    },
    "a response that merges": {"response": {"merge": ["a"]}},
    "a part named merge": {"response": {"merge": "{a}"}},
    "several methods of one path": {"top": {}, "get": "/x"},
    "allow without auth": {"allow": "request.headers.x == 'y'"},
    "a path with a piece": {"get": "/x/{name}.json"},
    "off and null": {
        "upstream": {"retry": "off", "cache": None, "timeout": "off", "coalesce": "off", "rate": None, "redirects": "off", "auth": "off"}
    },
    "off in an endpoint": {"live": "off", "limit": None, "auth": "off"},
    "attempts beyond reason": {"upstream": {"retry": {"attempts": 100}}},
    "a pattern only a backtracking engine knows": {"params": {"p": {"in": "query", "pattern": "(?=a)a+"}}},
    "lists and their items": {"params": {"p": {"in": "query", "type": "array", "items": {"type": "integer"}, "default": [1, 2]}}},
    "request.headers in live": {"live": {"every": "1s"}, "call": {"headers": {"x": '{request.headers."x-a"}'}}},
    "a literal brace": {"call": {"headers": {"x": "{{not}} {request.id}"}}},
    "a null in query": {"call": {"query": {"a": None, "b": ["x", None, 1], "c": True}}},
    "star and names": {"forward": {"headers": ["*", "x-forwarded-for"]}},
    "a file of certificates": {"upstream": {"tls": {"ca": certifi.where()}}},
    "a percent-encoded url": {"upstream": {"url": "https://exämple.org/json/%C3%B1/"}},
    "an inherited header in another case": {
        "top": {"defaults": {"upstream": {"headers": {"Accept-Language": "en"}}}},
        "upstream": {"headers": {"accept-language": "de"}},
    },
    "a form of lists": {"call": {"form": {"a": ["x", 1, None, "{request.id}"], "b": None}}},
    "items with every rule": {
        "params": {"p": {"type": "array", "items": {"type": "integer", "minimum": 1, "enum": [1, 2], "example": 1, "description": "one"}}}
    },
    "a chain as long as any": {"call": {"select": " || ".join(["a"] * 100)}},
    "a slash in a segment": {"get": "/docs%2Fmine"},
    "a function of another file's module": {"upstreams": {"p": {"python": "os.path:basename"}}},
}


@pytest.mark.parametrize("case", CLEAN)
def test_these_are_clean(faults_of: FaultsOf, case: str) -> None:
    """What `docs/catalog.md` allows."""
    assert faults_of(text(**CLEAN[case])) == []


UPSTREAMS: dict[str, tuple[dict[str, Any], str]] = {
    "no address": ({"url": None}, "no address"),
    "two addresses": ({"urls": [URL]}, "beside `url`"),
    "url and python": ({"python": "json:loads"}, "beside `url`"),
    "run without python": ({"run": "thread"}, "for Python functions"),
    "no scheme": ({"url": "example.com"}, "http://"),
    "another scheme": ({"url": "ftp://example.com"}, "http://"),
    "no host": ({"url": "http:///x"}, "host"),
    "a bad port": ({"url": "http://h:99999"}, "port"),
    "credentials in the url": ({"url": "http://me:secret@h"}, "under `auth`"),
    "a query in the url": ({"url": "http://h/?a=1"}, "query"),
    "an expression in the url": ({"url": "http://h/{x}"}, "braces"),
    "no urls": ({"url": None, "urls": []}, "1 or more"),
    "one bad of two urls": ({"url": None, "urls": [URL, "x"]}, "http://"),
    "two credentials": ({"auth": {"bearer": "a", "basic": {"username": "a", "password": "b"}}}, "exactly one"),
    "no credentials": ({"auth": {}}, "exactly one"),
    "a key without its cert": ({"tls": {"key": __file__}}, "without its `cert`"),
    "a file that is not there": ({"tls": {"ca": "nowhere.pem"}}, "nowhere.pem"),
    "a header of another form": ({"headers": {"x y": "a"}}, "no name that a header"),
    "a header of the transport": ({"headers": {"Content-Length": "1"}}, "transport's own"),
    "a header twice": ({"headers": {"x-a": "1", "X-A": "2"}}, "again"),
    "a line break in a header": ({"headers": {"x-a": "1\n2"}}, "line break"),
    "a control in a header": ({"headers": {"x-a": "1\x1b2"}}, "control character"),
    "a line break in a token": ({"auth": {"bearer": "a\nb"}}, "control character"),
    "a control in a credential": ({"auth": {"header": {"name": "x", "value": "a\x07"}}}, "control character"),
    "a url that is not ASCII": ({"url": "http://h/json/ñ"}, "percent-encode"),
    "a url with a space": ({"url": "http://h/a b"}, "percent-encode"),
    "a url with half an escape": ({"url": "http://h/%z"}, "percent-encode"),
    "a host that is none": ({"url": "http://a..b/"}, "cannot be read"),
    "an address that is none": ({"url": "http://1.2.3.999/"}, "cannot be read"),
    "a certificate that is none": ({"tls": {"ca": __file__}}, "holds no certificate"),
    "a client's certificate that is none": ({"tls": {"cert": __file__, "key": __file__}}, "`cert` holds no certificate"),
    "null for an unknown key": ({"retyr": None}, "did you mean 'retry'"),
    "a zero timeout": ({"timeout": "0s"}, "above 0"),
    "a timeout without a unit": ({"timeout": 5}, "250ms"),
    "a breaker's share": ({"breaker": {"failures": "120%"}}, "percentage"),
    "an unknown failure": ({"retry": {"on": ["timeuot"]}}, "timeuot"),
    "no attempts": ({"retry": {"attempts": 0}}, "at least 1"),
    "a bare number of a rate": ({"rate": 100}, "rate should be a rate such as 100/s or a mapping, not '100'"),
    "half a slot": ({"concurrency": 1.5}, "concurrency should be a whole number or a mapping, not '1.5'"),
    "redirects of a word": ({"redirects": "many"}, "redirects should be a whole number or a mapping"),
    "a policy of yes": ({"retry": "yes"}, "retry should be a mapping or off, not 'yes'"),
    "half an attempt": ({"retry": {"attempts": 1.5}}, "whole number"),
    "a quoted number": ({"retry": {"attempts": "2"}}, "whole number"),
    "hedge without after": ({"hedge": {}}, "after is missing"),
    "a rate of nothing": ({"rate": "0/s"}, "rate such as"),
    "an origin with a path": ({"redirects": {"max": 1, "origins": ["http://h/x"]}}, "origin"),
    "an unknown function": ({"headers": {"x": "{nope(request.id)}"}}, "nope"),
    "an unknown name in a header": ({"headers": {"x": "{nobody}"}}, "nobody"),
    "openapi that is not there": ({"openapi": "nowhere.json"}, "nowhere.json"),
}


@pytest.mark.parametrize("case", UPSTREAMS)
def test_these_are_faults_of_an_upstream(faults_of: FaultsOf, case: str) -> None:
    """One fault, which says what is wrong."""
    change, words = UPSTREAMS[case]
    (fault,) = faults_of(text(upstream=change))
    assert words in str(fault)


CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "no upstream": ({"upstream": None}, "upstream is missing"),
    "no path": ({"path": None}, "no path"),
    "a path without a slash": ({"path": "a"}, "starts with '/'"),
    "a query in the path": ({"path": "/a?b=c"}, "'?'"),
    "args over http": ({"args": {}}, "Python functions"),
    "body and graphql": ({"body": 1, "graphql": "{a}"}, "one body"),
    "variables alone": ({"variables": {}}, "without `graphql`"),
    "graphql by get": ({"graphql": "{a}", "method": "GET"}, "POST"),
    "a lower-case method": ({"method": "get"}, "did you mean 'GET'"),
    "passing a success": ({"pass_status": [200]}, "'200' is no failure"),
    "a status that is none": ({"null_on": [600]}, "at most 599"),
    "every too often": ({"every": "50ms"}, "100ms"),
    "braces in select": ({"select": "{x}"}, "no braces here"),
    "item in when": ({"each": "request.x", "when": "item"}, "`each` alone"),
    "item in each": ({"each": "item.x"}, "`each` alone"),
    "item in the fallback": ({"each": "request.x", "fallback": "{item}"}, "`each` alone"),
    "a header's line break": ({"headers": {"x": "a\r\nb"}}, "line break"),
    "after a param": ({"after": ["p"]}, "a param, no call"),
    "no such validation": ({"validate": "wran"}, "did you mean 'warn'"),
    "an unknown decoder": ({"decode": "jsn"}, "did you mean 'json'"),
    "a control in a header": ({"headers": {"x": "a\x07b {p}"}}, "control character"),
    "an object in a form": ({"form": {"x": {"a": "{p}"}}}, "an object cannot be the field 'x'"),
    "a list in a list of a form": ({"form": {"x": [[1]]}}, "a list in a list"),
    "a chain too long": ({"when": " || ".join(["p"] * 600)}, "too long or too deep"),
    "a pipe too long": ({"select": " | ".join(["p"] * 600)}, "too long or too deep"),
    "an object in query": ({"query": {"q": {}}}, "not a mapping"),
    "retry as a number": ({"retry": 3}, "a mapping"),
    "the whole scope": ({"body": "{@}"}, "whole scope"),
    "a cycle of one": ({"query": {"q": "{a}"}}, "a -> a"),
    "a cycle through an upstream": ({"upstream": "v"}, "a -> a"),
    "a schema of no type": ({"schema": {"properties": {"a": {"type": "nope"}}}}, "JSON Schema"),
    "a schema from the network": ({"schema": {"$ref": "https://example/x"}}, "network"),
    "a schema file that is not there": ({"schema": "nowhere.json#/x"}, "nowhere.json"),
}


@pytest.mark.parametrize("case", CALLS)
def test_these_are_faults_of_a_call(faults_of: FaultsOf, case: str) -> None:
    """One fault, which says what is wrong."""
    change, words = CALLS[case]
    more = {"v": {"url": URL, "headers": {"x": "{a.id}"}}} if change.get("upstream") == "v" else None
    (fault,) = faults_of(text(call=change, upstreams=more, params={"p": {"in": "query"}}))
    assert words in str(fault)


ENDPOINTS: dict[str, tuple[dict[str, Any], str]] = {
    "no route": ({"get": ...}, "no route"),
    "two methods": ({"post": "/x"}, "a second method"),
    "neither calls nor proxy": ({"calls": ...}, "neither calls"),
    "no calls": ({"calls": {}}, "no calls"),
    "live by post": ({"get": ..., "post": "/x", "live": {"every": "1s"}}, "`live` needs GET"),
    "live too often": ({"live": {"every": "99ms"}}, "100ms"),
    "live of nothing": ({"live": {}}, "every is missing"),
    "a query in the route": ({"get": "/x?y"}, "cannot be matched"),
    "an open brace": ({"get": "/x/{y"}, "cannot be matched"),
    "a convertor": ({"get": "/x/{y:path}"}, "no name for a param"),
    "empty braces": ({"get": "/x/{}"}, "no name for a param"),
    "a param twice": ({"get": "/{y}/{y}"}, "twice"),
    "dots": ({"get": "/x/../y"}, "no client sends"),
    "encoded dots": ({"get": "/x/%2e%2e/y"}, "no client sends"),
    "no UTF-8": ({"get": "/%ff"}, "no UTF-8"),
    "our health, encoded": ({"get": "/%68ealthz"}, "our own"),
    "our metrics": ({"get": "/metrics"}, "our own"),
    "under our docs": ({"get": "/docs/mine"}, "our own"),
    "a path param elsewhere": ({"get": "/{y}", "params": {"y": {"in": "query"}}}, "path param"),
    "an optional path param": ({"get": "/{y}", "params": {"y": {"in": "path", "required": False}}}, "cannot be left out"),
    "a list in the path": ({"get": "/{y}", "params": {"y": {"in": "path", "type": "array"}}}, "one segment"),
    "a param in a cookie": ({"params": {"p": {"in": "cookie"}}}, "'header'"),
    "minimum of a text": ({"params": {"p": {"in": "query", "minimum": 1}}}, "says nothing"),
    "items of a text": ({"params": {"p": {"in": "query", "items": {"type": "string"}}}}, "says nothing"),
    "lists of lists": ({"params": {"p": {"in": "query", "type": "array", "items": {"type": "array"}}}}, "a list holds"),
    "items of two types": ({"params": {"p": {"type": "array", "items": {"type": ["integer", "null"]}}}}, "a list holds"),
    "a misspelt key of items": ({"params": {"p": {"type": "array", "items": {"typ": "integer"}}}}, "did you mean 'type'"),
    "a key that nothing holds": ({"params": {"p": {"type": "array", "items": {"type": "integer", "multipleOf": 5}}}}, "unknown key 'multipleOf'"),
    "a pattern of integers": ({"params": {"p": {"type": "array", "items": {"type": "integer", "pattern": "a"}}}}, "says nothing"),
    "a pattern of items": ({"params": {"p": {"type": "array", "items": {"pattern": "("}}}}, "no regular expression"),
    "an enum of items": ({"params": {"p": {"type": "array", "items": {"enum": [1]}}}}, "no string"),
    "an example of items": ({"params": {"p": {"type": "array", "items": {"type": "integer", "example": "a"}}}}, "no integer"),
    "an enum of lists": ({"params": {"p": {"type": "array", "enum": [["a"]]}}}, "says nothing"),
    "brackets out of order": ({"params": {"p": {"pattern": "a)(b"}}}, "no regular expression"),
    "a default of another type": ({"params": {"p": {"in": "query", "type": "boolean", "default": "true"}}}, "no boolean"),
    "a default out of range": ({"params": {"p": {"in": "query", "type": "integer", "default": 3, "maximum": 2}}}, "own rules"),
    "a default beside the pattern": ({"params": {"p": {"in": "query", "default": "abc", "pattern": "a"}}}, "own rules"),
    "an example beside the enum": ({"params": {"p": {"in": "query", "example": "c", "enum": ["a"]}}}, "own rules"),
    "an enum of another type": ({"params": {"p": {"in": "query", "type": "integer", "enum": ["a"]}}}, "no integer"),
    "allow that asks calls": ({"allow": "a.b"}, "before the calls"),
    "braces in allow": ({"allow": "{claims.x}"}, "no JMESPath"),
    "item in the response": ({"response": {"x": "{item}"}}, "`each` alone"),
    "merging a param": ({"params": {"p": {"in": "query"}}, "response": {"merge": ["p"]}}, "a param, no call"),
    "merging a number": ({"response": {"merge": [1]}}, "names of calls"),
    "merging a list": ({"response": {"merge": [["a"]]}}, "names of calls"),
    "merging in braces": ({"response": {"merge": ["{a}"]}}, "without braces"),
    "the whole request in live": ({"live": {"every": "1s"}, "response": {"x": "{request}"}}, "topic of its own"),
    "request.id in allow of live": ({"live": {"every": "1s"}, "allow": "request.id"}, "topic of its own"),
    "a body's schema": ({"get": ..., "post": "/x", "body": {"schema": {"type": 3}}}, "JSON Schema"),
    "forwarding no header": ({"forward": {"headers": ["a b"]}}, "no name that a header"),
    "a limit by nobody": ({"limit": {"rate": "1/s", "by": "user"}}, "'client' or 'endpoint'"),
    "a limit without a rate": ({"limit": {}}, "rate is missing"),
    "a deadline of nothing": ({"deadline": "0s"}, "above 0"),
    "a proxy to nowhere": ({"calls": ..., "proxy": {"upstream": "v", "path": "/"}}, "unknown upstream 'v'"),
    "a proxy that reads the body": ({"calls": ..., "proxy": {"upstream": "u", "path": "/{body.x}"}}, "'body' is not known here"),
    "a proxy without a slash": ({"calls": ..., "proxy": {"upstream": "u", "path": "y"}}, "starts with '/'"),
}


@pytest.mark.parametrize("case", ENDPOINTS)
def test_these_are_faults_of_an_endpoint(faults_of: FaultsOf, case: str) -> None:
    """One fault, which says what is wrong."""
    change, words = ENDPOINTS[case]
    (fault,) = faults_of(text(**change))
    assert words in str(fault)


SHA = "sha256:" + "0" * 64
TOPS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown key": ({"upstream": {}}, "did you mean 'upstreams'"),
    "a name that is none": ({"auth": {"a b": {"type": "api_key", "keys": {}}}}, "no name for a scheme"),
    "an unknown scheme type": ({"auth": {"a": {"type": "basic"}}}, "'api_key' or 'jwt'"),
    "a scheme of no type": ({"auth": {"a": {"keys": {}}}}, "'api_key' or 'jwt'"),
    "a key in plain text": ({"auth": {"a": {"type": "api_key", "keys": {"acme": "secret-key"}}}}, "64 hex digits"),
    "one key twice": ({"auth": {"a": {"type": "api_key", "keys": {"x": SHA, "y": SHA}}}}, "that of 'x'"),
    "a header that is none": ({"auth": {"a": {"type": "api_key", "header": "a b", "keys": {}}}}, "no name that a header"),
    "no algorithm": ({"auth": {"a": {"type": "jwt", "jwks": URL, "algorithms": ["none"]}}}, "unknown algorithm"),
    "a key set that is not there": ({"auth": {"a": {"type": "jwt", "jwks": "keys.json"}}}, "keys.json"),
    "a key set that is none": ({"auth": {"a": {"type": "jwt", "jwks": __file__}}}, "no JWK Set"),
    "cors of a path": ({"cors": {"origins": ["https://a/b"]}}, "no origin"),
    "cors of everyone's cookies": ({"cors": {"origins": ["*"], "credentials": True}}, "no browser"),
    "cors without origins": ({"cors": {}}, "origins is missing"),
    "an unknown key of defaults": ({"defaults": {"upstreams": {}}}, "did you mean 'upstream'"),
    "a key of defaults that nobody has": ({"defaults": {"upstream": {"retyr": {}}}}, "did you mean 'retry'"),
    "defaults of no shape": ({"defaults": [1]}, "defaults should be"),
    "a default of the wrong kind": ({"defaults": {"endpoint": {"deadline": "soon"}}}, "'soon'"),
    "include that is no list": ({"include": "x.yaml"}, "list of file names"),
    "include of nothing": ({"include": ["x/*.yaml"]}, "x/*.yaml"),
}


@pytest.mark.parametrize("case", TOPS)
def test_these_are_faults_at_the_top(faults_of: FaultsOf, case: str) -> None:
    """One fault, which says what is wrong; nothing of a key is shown."""
    change, words = TOPS[case]
    (fault,) = faults_of(text(top=change))
    assert words in str(fault)
    assert "secret-key" not in str(fault)


def test_a_fault_of_shape_hides_no_fault_of_meaning(faults_of: FaultsOf) -> None:
    """All faults at once, also those of one call."""
    found = faults_of(text(call={"timeuot": "1s", "path": "/{nobody}", "upstream": "w"}, get="/ws", auth=["none"]))
    assert len(found) == 5


def test_what_is_inherited_is_told_once(faults_of: FaultsOf) -> None:
    """A bad default of a thousand upstreams is one fault, at the default."""
    top = {"defaults": {"upstream": {"timeout": "soon", "headers": {"x": "{nobody}"}}}}
    found = faults_of(text(top=top, upstreams={f"v{n}": {"url": URL} for n in range(20)}, calls={f"c{n}": A for n in range(20)}))
    assert len(found) == 2


def test_each_cycle_is_told_once(faults_of: FaultsOf) -> None:
    """With the calls in the order in which they wait."""
    calls = {name: {**A, "path": f"/{{{of}}}"} for name, of in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("e", "f"), ("f", "e"))}
    assert sorted(fault.message for fault in faults_of(text(calls=calls))) == ["a cycle: a -> b -> c -> a", "a cycle: e -> f -> e"]


def test_routes_differ_by_method_or_by_shape(faults_of: FaultsOf) -> None:
    """Names of params make no other route."""
    routes = [("get", "/{a}"), ("post", "/{b}"), ("get", "/a"), ("get", "/{a}/b"), ("get", "/{c}.json")]
    endpoints = {f"e{n}": {method: path, "calls": {"call": A}} for n, (method, path) in enumerate(routes)}
    catalog = {"upstreams": {"u": {"url": URL}}, "endpoints": endpoints}
    assert faults_of(json.dumps(catalog)) == []
    endpoints["late"] = {"get": "/{z}", "calls": {"call": A}}
    (fault,) = faults_of(json.dumps(catalog))
    assert "'e0'" in fault.message


WARNINGS: dict[str, tuple[dict[str, Any], int]] = {
    "authorization to two": ({"forward": {"headers": ["Authorization"]}}, 1),
    "all to two": ({"forward": {"headers": "*"}}, 2),
    "another header": ({"forward": {"headers": ["x-a"]}}, 0),
    "every without live": ({"call": {"every": "1s"}}, 1),
    "validate without schema": ({"call": {"validate": "warn"}}, 1),
    "validate off": ({"call": {"validate": "off"}}, 0),
    "max_items without each": ({"call": {"max_items": 3, "concurrency": 2}}, 2),
    "default of a path param": ({"get": "/{p}", "params": {"p": {"in": "path", "default": "x"}}}, 1),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_these_are_warnings(load: Load, case: str) -> None:
    """What is allowed and still worth a look; it is no fault."""
    change, number = WARNINGS[case]
    rest = {**change, "upstream": {"url": None, "urls": ["http://one", "https://two"]}}
    assert len(load(text(**rest)).warnings) == number


def test_replicas_behind_one_name_are_one_origin_each(load: Load) -> None:
    """A port that is the scheme's own makes no other origin."""
    upstream = {"url": None, "urls": ["http://one", "http://one:80/x"]}
    assert load(text(upstream=upstream, forward={"headers": ["cookie"]})).warnings == ()


@pytest.mark.parametrize(("one", "other"), [("/ab", "/a%62"), ("/{p}-%41", "/{q}-A"), ("/%C3%B1", "/ñ")])
def test_routes_are_compared_decoded(faults_of: FaultsOf, one: str, other: str) -> None:
    """As a request's path is matched: percent-encoding is but a spelling, and the names of params are none of its."""
    endpoints = {name: {"get": path, "calls": {"a": A}} for name, path in (("x", one), ("y", other))}
    (fault,) = faults_of(json.dumps({"upstreams": {"u": {"url": URL}}, "endpoints": endpoints}))
    assert "is that of 'x'" in fault.message


def test_every_fault_of_a_text_is_told(faults_of: FaultsOf) -> None:
    """Unknown functions, unknown names, and a brace that is never closed."""
    told = [fault.message for fault in faults_of(text(call={"query": {"q": "{lenght(x) || foo(y)} {nope} {"}}))]
    assert told == [
        "no function 'lenght'", "no function 'foo'", "a brace that is never closed",
        "unknown name 'nope' in the endpoint 'x'", "unknown name 'x' in the endpoint 'x'", "unknown name 'y' in the endpoint 'x'",
    ]  # fmt: skip


def test_the_header_that_is_nearer_wins_whatever_its_case(load: Load) -> None:
    """`defaults` < upstream, by names that have no case; headers of other names are inherited."""
    inherited = {"defaults": {"upstream": {"headers": {"Accept-Language": "en", "x": "1"}}}}
    found = load(text(top=inherited, upstream={"headers": {"accept-language": "de"}})).catalog.upstreams["u"].headers
    assert found == {"accept-language": "de", "x": "1"}


@pytest.mark.parametrize("upstream", ["headers: {x: '${S}'}", "auth: {bearer: '${S}'}", "auth: {header: {name: x, value: '${S}'}}"])
def test_a_control_in_a_secret_is_told_without_it(faults_of: FaultsOf, upstream: str) -> None:
    """In a header's value, wherever it comes from."""
    catalog = f"upstreams: {{u: {{url: '{URL}', {upstream}}}}}\nendpoints: {{}}"
    (fault,) = faults_of(catalog, {"S": "hush\x1b"})
    assert "control character" in fault.message
    assert "hush" not in str(fault)


SECRETIVE = [
    'a: {post: "/hook/${S}", CALLS}\n  b: {post: "/hook/${S}", CALLS}',
    """a: {get: "{a.'${S}'}", CALLS}""",
    'a: {get: "/{${S}!}", CALLS}',
    'a: {get: "/{${S}}/{${S}}", CALLS}',
    'a: {get: "/{${S}}", params: {hus: {in: path}}, CALLS}',
    'a: {get: "/{${S}}", calls: {c: {upstream: u, path: "/{hus}"}}}',
    'a: {get: "/{${S}}", calls: {c: {upstream: u, path: "/{zzz}"}}}',
    "a:\n    get: /a\n    calls:\n      c:\n        upstream: u\n        path: /\n        pass_status:\n        - ${N}",
]


@pytest.mark.parametrize("endpoints", SECRETIVE)
def test_what_a_route_got_from_outside_is_in_no_message(faults_of: FaultsOf, endpoints: str) -> None:
    """Neither the path nor a param's name in it, in message or hint; it is shown as written."""
    catalog = f"upstreams: {{u: {{url: '{URL}'}}}}\nendpoints:\n  {endpoints.replace('CALLS', 'calls: {c: {upstream: u, path: /}}')}\n"
    found = faults_of(catalog, {"S": "hush", "N": "217"})
    assert found
    assert not [str(fault) for fault in found if "hush" in str(fault) or "217" in str(fault)]


def test_a_mapping_where_off_means_nothing_is_told_without_it(faults_of: FaultsOf) -> None:
    """A call that has the name of a policy is none."""
    (fault,) = faults_of(text(calls={"a": A, "cache": 5}))
    assert fault.message == "cache should be a mapping, not '5'"


def test_names_to_merge_may_be_substituted(load: Load, faults_of: FaultsOf) -> None:
    """They are names, no expressions, as those of `after`; an unknown one is told as written."""
    catalog = text(response={"merge": ["${WHICH:-a}"]})
    assert load(catalog).catalog.endpoints["x"].response == {"merge": ["a"]}
    (fault,) = faults_of(catalog, {"WHICH": "hush"})
    assert fault.message == "'${WHICH:-a}' is no call of the endpoint 'x'"
