"""The words of a command line as a catalog, an endpoint and its inputs: `[CATALOG] ENDPOINT k=v ...`."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from app.api.body import Bodies
from app.api.params import compile_params
from app.api.problems import Fault, Problem
from app.catalog.faults import did_you_mean
from app.catalog.schema import Body, Endpoint
from app.commands.catalogs import USAGE
from app.core.context import Context
from app.core.data import Data
from app.engine.plan import Inputs
from app.expressions.values import is_unicode

T = TypeVar("T")
Words = Annotated[list[str], typer.Argument(metavar="[CATALOG] ENDPOINT [NAME=VALUE]...", show_default=False, help="The catalog may be left out.")]
HeaderOption = Annotated[list[str] | None, typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header as a client would send it.")]
BodyOption = Annotated[str | None, typer.Option("--body", metavar="JSON", help="The request's body; @FILE reads it from a file.")]
_PAIR = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*)=(.*)", re.DOTALL)
_IS_FILE = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for. `pairs` keep their order; a name may come twice (a list)."""

    catalog: Path | None
    endpoint: str | None
    pairs: tuple[tuple[str, str], ...]


def asked(words: list[str], *, takes_catalog: bool = True) -> Asked:
    """Splits the words. Of two the first is the catalog; one alone is an endpoint, unless it is spelt as a file: `x.yaml`, `a/b`."""
    _check_unicode(words)
    named: list[str] = []
    for word in words:
        if _PAIR.fullmatch(word) and not (takes_catalog and not named and word.endswith(_IS_FILE)):
            break
        named.append(word)
    pairs = [_PAIR.fullmatch(word) for word in words[len(named) :]]
    wrong = [word for word, pair in zip(words[len(named) :], pairs, strict=True) if pair is None]
    wrong += [word for word in named if "=" in word and not word.endswith(_IS_FILE)]
    most = 2 if takes_catalog else 1
    if wrong or len(named) > most:
        refuse(f"'{(wrong or named[most:])[0]}' is no NAME=VALUE")
    found = tuple((pair[1], pair[2]) for pair in pairs if pair is not None)
    if len(named) == 2:
        return Asked(Path(named[0]), named[1], found)
    if takes_catalog and named and (named[0].endswith(_IS_FILE) or "/" in named[0]):
        return Asked(Path(named[0]), None, found)
    return Asked(None, named[0] if named else None, found)


def refuse(message: str) -> NoReturn:
    """Ends the command with 2 and a line that says why."""
    typer.echo(f"merganser: {message}", err=True)
    raise typer.Exit(USAGE)


def named(endpoints: Mapping[str, T], name: str | None) -> T:
    """The endpoint of this name; else ends the command, with the names that there are."""
    if name is None:
        refuse(f"which endpoint? There are: {', '.join(endpoints) or 'none'}")
    if name not in endpoints:
        refuse(f"there is no endpoint '{name}'; {did_you_mean(name, endpoints) or 'there are: ' + ', '.join(endpoints)}")
    return endpoints[name]


def inputs(endpoint: Endpoint, pairs: Iterable[tuple[str, str]], headers: Iterable[tuple[str, str]] = (), body: str | None = None) -> Inputs:
    """Inputs out of texts, by the rules of a request over HTTP. Raises Problem with every fault."""
    given = list(pairs)
    placed: dict[str, list[tuple[str, str]]] = {"path": [], "query": [], "header": []}
    for name, value in given:
        place = endpoint.params[name].place if name in endpoint.params else "query"
        placed[place].append((name.lower() if place == "header" else name, value))
    values, faults = compile_params(endpoint).bind(dict(placed["path"]), placed["query"], placed["header"])
    faults = [*faults, *(unknown(name, endpoint) for name in dict.fromkeys(n for n, _ in given) if name not in endpoint.params)]
    data, more = Bodies(endpoint.body or Body()).taken(b"" if body is None else read_body(body))
    if faults or more:
        raise Problem(422, errors=list({str(fault): fault for fault in (*faults, *more)}.values()))
    return Inputs(values, context(endpoint.method, [*headers, *placed["header"]]), data)


def context(method: str, headers: Iterable[tuple[str, str]], request_id: str | None = None) -> Context:
    """A request from this very machine."""
    return Context(request_id or uuid.uuid4().hex[:16], method, "127.0.0.1", [(name.lower(), value) for name, value in headers])


def unknown(name: str, endpoint: Endpoint) -> Fault:
    """The fault of a name that is no param."""
    hint = did_you_mean(name, endpoint.params) or f"there are: {', '.join(endpoint.params) or 'none'}"
    return {"loc": ["query", name], "msg": f"is not a parameter of this endpoint; {hint}", "type": "unknown"}


def read_headers(given: list[str] | None) -> list[tuple[str, str]]:
    """Headers as curl takes them; ends the command where one is none."""
    _check_unicode(given or ())
    pairs = [one.partition(":") for one in given or ()]
    if wrong := [name for name, colon, _ in pairs if not colon or not name.strip()]:
        refuse(f"'{wrong[0]}' is no header: write 'name: value'")
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def read_body(text: str) -> bytes:
    """A body given as it is, or as @FILE."""
    _check_unicode([text])
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as exc:
        refuse(f"{text[1:]} cannot be read: {exc.strerror}")


def _check_unicode(texts: Iterable[str]) -> None:
    """Ends the command where an argument is no UTF-8: Python makes lone surrogates of such bytes (PEP 383)."""
    for text in texts:
        if not is_unicode(text):
            refuse(f"'{text.encode(errors='backslashreplace').decode()}' is no UTF-8")


def told(problem: Problem) -> str:
    """A problem in words for a terminal: every fault of the input, or what is wrong as a whole."""
    if not problem.errors:
        return problem.detail
    return "\n".join(f"{'.'.join(str(at) for at in fault['loc'][1:]) or 'body'} {fault['msg']}" for fault in problem.errors)


def shown(value: Any) -> str:
    """A param's value as one would type it."""
    return value if isinstance(value, str) else Data.of(value).raw.decode()
