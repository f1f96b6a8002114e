"""`${VAR}`, `${VAR:-default}`, `${file:PATH}`, `$${`: what is substituted, and that it is never read as an expression."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.faults import CatalogFaults
from app.catalog.load import load_text
from app.core.errors import ExpressionFailed
from app.core.scope import Scope
from app.expressions.expression import parse_expression
from app.expressions.template import parse_template
from tests.unit.catalog.conftest import FaultsOf, Load

CATALOG = """
name: {name}
upstreams: {{u: {{url: "http://u"}}}}
endpoints:
  x:
    get: /x
    calls:
      a:
        upstream: u
        path: /a
        headers:
          x-h: {header}
        when: {when}
"""


def catalog(name: str = "n", header: str = "h", when: str = "request.method") -> str:
    return CATALOG.format(name=name, header=header, when=when)


@pytest.mark.parametrize(("written", "value"), [
    ("${A}", "one"), ('"${A}"', "one"), ('"<${A}${B}>"', "<onetwo>"), ("${NO:-spare}", "spare"), ("${EMPTY:-spare}", "spare"), ('"${EMPTY}"', ""),
    ('"${NO:-}"', ""), ("$${A}", "${A}"), ('"$${"', "${"), ('"a $A $ {A} $$ {}"', "a $A $ {A} $$ {}"), ("${NO:-a:-b}", "a:-b"),
    ('"$${A} ${A}"', "${A} one"),
    ("${BRACED}", "${A} {b}"), ("|\n    ${A}\n  ", "one\n"),
])  # fmt: skip
def test_a_value_is_what_the_environment_says(load: Load, written: str, value: str) -> None:
    """Once, from left to right: what was substituted is not looked at again. Quotes and block texts make no difference."""
    environ = {"A": "one", "B": "two", "EMPTY": "", "BRACED": "${A} {b}"}
    assert load(catalog(name=written), environ).catalog.name == value


@pytest.mark.parametrize(
    ("value", "known"), [("3", 3), ("true", True), ("1.5", 1.5), ("0x10", 16), ("text", "text"), ("", None), ("[a]", "[a]"), ("off", "off")]
)
def test_an_unquoted_scalar_has_the_type_of_what_was_substituted(load: Load, value: str, known: object) -> None:
    """The core schema's; a quoted one is a text."""
    found = load(catalog(header="${V}"), {"V": value}).catalog.endpoints["x"].calls["a"].headers["x-h"]
    plain = parse_template(found).constant if isinstance(found, str) else found
    assert (plain, type(plain)) == (known, type(known))
    quoted = load(catalog(header='"${V}"'), {"V": value}).catalog.endpoints["x"].calls["a"].headers["x-h"]
    assert parse_template(str(quoted)).constant == value


def test_a_file_gives_its_text_without_one_last_newline(load: Load, tmp_path: Path) -> None:
    """Relative to the catalog's folder; other white space stays."""
    for text, value in (("s\n", "s"), ("s\n\n", "s\n"), ("s", "s"), ("s\r\n", "s"), (" s ", " s "), ("", "")):
        (tmp_path / "secret").write_bytes(text.encode())
        assert load(catalog(name='"${file:secret}"')).catalog.name == value
        assert load(catalog(name=f'"${{file:{tmp_path}/secret}}"')).catalog.name == value


@pytest.mark.parametrize(("written", "words"), [
    ("${NO}", "'NO' is not set"), ("${}", "no variable"), ("${1A}", "no variable"), ("${A-b}", "no variable"), ("${A", "without its '}'"),
    ("${A:-${B}}", "another"),
    ("${file:nowhere}", "nowhere"), ("${file:}", "cannot be read"), ("${file:.}", "cannot be read"), ("${BAD}", "no UTF-8"),
])  # fmt: skip
def test_what_cannot_be_substituted_is_a_fault_at_its_value(faults_of: FaultsOf, written: str, words: str) -> None:
    """Missing variables and files, names that are none."""
    (fault,) = faults_of(catalog(name=f'"{written}"'), {"BAD": "\udcff"})
    assert (fault.line, fault.column) == (2, 7)
    assert words in fault.message


def test_every_missing_variable_is_told(faults_of: FaultsOf) -> None:
    """Also two of one value."""
    assert len(faults_of(catalog(name='"${A} ${B}"', header="${C}"))) == 3


def test_a_large_or_binary_file_is_refused(faults_of: FaultsOf, tmp_path: Path) -> None:
    """A secret is a text of at most 1 MiB."""
    for content in (b"x" * (1 << 20) + b"x", b"\xff"):
        (tmp_path / "f").write_bytes(content)
        assert len(faults_of(catalog(name="${file:f}"))) == 1


def test_keys_are_left_alone(load: Load) -> None:
    """Substitution is for values."""
    text = catalog() + '    response: {"${A}": 1}\n'
    assert load(text, {"A": "x"}).catalog.endpoints["x"].response == {"${A}": 1}


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), max_size=30))
def test_what_is_substituted_is_literal_in_a_template(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    """Braces, quotes, `${` and all."""
    loaded = load_text(catalog(header='"<${V}> {request.method}"'), folder=Path("/"), environ={"V": value})
    header = loaded.catalog.endpoints["x"].calls["a"].headers["x-h"]
    assert parse_template(str(header)).value(Scope(request={"method": "GET"})) == f"<{value}> GET"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs", "Cn"]), max_size=30))
def test_what_is_substituted_is_literal_in_an_expression(value: str) -> None:
    """In quotes it is a text, whatever it holds; or it is refused."""
    text = catalog(when="\"request.method == '${V}'\"")
    try:
        when = load_text(text, folder=Path("/"), environ={"V": value}).catalog.endpoints["x"].calls["a"].when
    except CatalogFaults:
        return
    try:
        assert parse_expression(str(when)).search(Scope(request={"method": value})) is True
    except ExpressionFailed:
        pytest.fail("an expression that passed the check")


@pytest.mark.parametrize("key", ["when", "header"])
def test_what_is_substituted_cannot_be_an_expression(faults_of: FaultsOf, key: str) -> None:
    """Outside of quotes it is a fault, which does not show it."""
    text = catalog(when="${V}") if key == "when" else catalog(header='"{ ${V} }"')
    (fault,) = faults_of(text, {"V": "request.hunter2"})
    assert "hunter2" not in str(fault)


SECRETS = [
    "url: '${S}'", "urls: ['${S}']", "timeout: '${S}'", "python: '${S}'", "decode: '${S}'", "auth: {bearer: ['${S}']}",
    "auth: {header: {name: '${S} x', value: y}}",
    "rate: '${S}'", "tls: {ca: '${S}'}", "headers: {x: ['${S}']}", "run: '${S}'", "retry: {on: ['${S}']}", "max_body: '${S}'",
    "query: {x: '{a ${S}'}",
    "headers: {x: \"{a['${S}'}\"}", "redirects: {origins: ['${S}']}", "auth: {oauth2: {token_url: '${S}', client_id: a, client_secret: b}}", "'${S}'",
]  # fmt: skip


@pytest.mark.parametrize("line", SECRETS)
def test_no_fault_shows_what_was_substituted(faults_of: FaultsOf, line: str) -> None:
    """Faults name the variable, never its value."""
    text = f"upstreams:\n  u: {{{line}}}\nendpoints:\n  x: {{get: /x, calls: {{a: {{upstream: u, path: /a}}}}}}\n"
    found = faults_of(text, {"S": "hunter2 }{"})
    assert found
    assert "hunter2" not in " ".join(str(fault) for fault in found)


CALL_SECRETS = [
    "upstream: '${S}'", "method: '${S}'", "path: '${S}'", "path: '/{${S}}'", "after: ['${S}']", "schema: '${S}'", "schema: {type: '${S}'}",
    "schema: {$ref: '${S}'}",
    "schema: {pattern: '(${S}'}", "select: '${S}'", "each: '${S}[?'", "validate: '${S}'", "when: \"a '${S}'\"", "fallback: \"{a '${S}'}\"",
    "every: '${S}'",
    "forward: {headers: ['${S}']}",
]  # fmt: skip


@pytest.mark.parametrize("line", CALL_SECRETS)
def test_no_fault_of_a_call_shows_what_was_substituted(faults_of: FaultsOf, line: str) -> None:
    """Faults name the variable, never its value."""
    text = f"upstreams:\n  u: {{url: 'http://u'}}\nendpoints:\n  x:\n    get: /x\n    calls:\n      a:\n        {line}\n"
    found = faults_of(text, {"S": "hunter2 }{"})
    assert found
    assert "hunter2" not in " ".join(str(fault) for fault in found)


def test_no_repr_shows_a_credential(load: Load) -> None:
    """What is logged of a catalog by mistake holds no secret."""
    auth = "{bearer: hunter2}", "{basic: {username: a, password: hunter2}}", "{header: {name: a, value: hunter2}}"
    more = "".join(f"u{n}: {{url: 'http://u', auth: {one}}}, " for n, one in enumerate(auth))
    text = catalog().replace("upstreams: {", "upstreams: {" + more)
    assert "hunter2" not in repr(load(text))
