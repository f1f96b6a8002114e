"""From the text of an expression to JMESPath's syntax tree, with every fault that can be seen before a request."""

from __future__ import annotations

import difflib
import json
import re
import warnings
from collections.abc import Iterator
from typing import Any, cast

from jmespath.exceptions import EmptyExpressionError, JMESPathError, LexerError, ParseError
from jmespath.parser import Parser

from app.core.depth import MAX_DEPTH, is_too_deep
from app.expressions.closures import Node
from app.expressions.functions import CatalogFunctions, arity, takes_expression
from app.expressions.marks import BEGIN, END, is_marked, is_paired, plain
from app.expressions.syntax import ExpressionSyntax
from app.expressions.values import is_in_range, is_unicode, leaves

_MARKED = re.compile(f"{BEGIN}([^{END}]*){END}")
_VALUE = re.compile(f"{BEGIN}=([0-9]+){END}")
"""A mark that stands for a value of its own, not for a piece of a text."""
_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`""", re.DOTALL)
_IN_LITERAL = re.compile(rf""""(?:\\.|[^"\\])*"|{BEGIN}([^{END}]*){END}""", re.DOTALL)


class _Parser(Parser):
    """The library's, but for `!`: there `!a.b` is `(!a).b`, which is always null, here `!(a.b)`. It still binds tighter than `==`."""

    BINDING_POWER = {**Parser.BINDING_POWER, "not": Parser.BINDING_POWER["flatten"] - 1}  # noqa: RUF012 - the library's way
    _CACHE: dict[str, Any] = {}  # noqa: RUF012 - one of its own, at most _MAX_SIZE entries


def parsed(text: str) -> Node:
    """The syntax tree; raises ExpressionSyntax. What `faults_of` tells is still in it.

    Substituted text is good in quotes, where it stands for itself, and as a value of a JSON literal; elsewhere it is a fault.
    """
    if not is_marked(text):
        tree = _tree(text)
    elif not is_paired(text):
        raise ExpressionSyntax("a character that cannot stand in an expression", min(i for i in (text.find(BEGIN), text.find(END)) if i >= 0))
    else:
        values = _MARKED.findall(text)
        count = iter(range(len(values)))
        numbered = _MARKED.sub(lambda _: f"{BEGIN}{next(count)}{END}", text)
        tree = _filled(_tree(_QUOTED.sub(_with_values, numbered)), values)
        _check_depth(tree)
    return tree


def faults_of(tree: Node, text: str) -> Iterator[ExpressionSyntax]:
    """Whatever in a tree would fail on every request: functions, their arguments, `&` where none is taken, numbers and texts that are no JSON."""
    for node in _nodes(tree):
        yield from _faults_of_node(node, text)
    if tree["type"] == "expref":
        yield ExpressionSyntax("'&' is only for an argument that takes an expression", text.find("&"))


def _tree(text: str) -> Node:
    tree = _read(text)
    _check_depth(tree)
    return tree


def _check_depth(tree: Node) -> None:
    """A tree that can be walked by recursion, here and when it is asked; a level of it is two of JSON."""
    if is_too_deep(tree):
        raise ExpressionSyntax("too long or too deep an expression", 0, f"fewer than {MAX_DEPTH // 2} operators in a row, or inside of one another")


def _read(text: str) -> Node:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `word` for '"word"': deprecated by JMESPath, and still good
        try:
            return cast(Node, _Parser().parse(text).parsed)
        except EmptyExpressionError:
            raise ExpressionSyntax("an empty expression") from None
        except LexerError as exc:
            if BEGIN in str(exc.lexer_value):
                raise ExpressionSyntax("what is substituted is no expression", exc.lexer_position or 0, "put it in quotes: '${NAME}'") from None
            raise ExpressionSyntax(f"no JMESPath: {plain(exc.message).lower()}", exc.lexer_position or 0, _hint(text)) from exc
        except ParseError as exc:
            token = f"unexpected '{plain(str(exc.token_value))}'" if exc.token_value else "it ends too early"
            raise ExpressionSyntax(f"no JMESPath: {token}", exc.lex_position or 0, _hint(text)) from exc
        except (JMESPathError, ValueError, RecursionError) as exc:
            raise ExpressionSyntax("no JMESPath that can be read: too deep, or a number too long") from exc


_UNQUOTED = re.compile(r"""(?<![\w"'`-])(?:\w+(?:-\w+)+|\d+[A-Za-z_]\w*)(?![\w"'`-])""", re.ASCII)
"""`city-id` and `2nd`, which are good names and no JMESPath."""


def _hint(text: str) -> str | None:
    if text.startswith("{") and text.endswith("}"):
        return f"no braces here: write {text[1:-1].strip()}"
    if any(sign in text for sign in ("+", " - ", " / ", " % ")):
        return "arithmetic is add(a, b), sub(a, b), mul(a, b), div(a, b), mod(a, b)"
    if name := _UNQUOTED.search(text):
        return f'a name that is no identifier is quoted: "{name[0]}"'
    return None


def _with_values(quoted: re.Match[str]) -> str:
    """A JSON literal in which every mark outside of its texts is marked as a value, and spelled as a text; other quotes as they are."""
    if not quoted[0].startswith("`"):
        return quoted[0]
    return _IN_LITERAL.sub(lambda found: found[0] if found[1] is None else f'"{BEGIN}={found[1]}{END}"', quoted[0])


def _filled(value: Any, values: list[str]) -> Any:
    """The tree with each numbered mark replaced by its text, or value; a new one, since jmespath keeps the trees that it has parsed."""
    if isinstance(value, str):
        whole = _VALUE.fullmatch(value)
        return _value_of(values[int(whole[1])]) if whole else _text_of(value, values)
    if isinstance(value, dict):
        return {_text_of(key, values): _filled(entry, values) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(entry, values) for entry in value]
    return value


def _text_of(text: str, values: list[str]) -> str:
    return _MARKED.sub(lambda found: values[int(found[1].removeprefix("="))], text)


def _value_of(text: str) -> Any:
    """The JSON value that a substituted text spells."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ExpressionSyntax("what is substituted into a literal is no JSON", 0, "for a text put it in quotes: '${NAME}'") from None


def _faults_of_node(node: Node, text: str) -> Iterator[ExpressionSyntax]:
    if not all(map(is_unicode, leaves(node.get("value")))):
        yield ExpressionSyntax("a text that is no Unicode: a lone surrogate", max(text.find("\\u"), 0))
    if node["type"] == "function_expression":
        yield from _faults_of_function(node, text)
    elif node["type"] == "literal":
        if not all(map(is_in_range, leaves(node["value"]))):
            yield ExpressionSyntax("a literal that is no JSON: numbers end where float64 does", max(text.find("`"), 0))
    elif node["type"] == "slice":
        if node["children"][2] == 0:
            yield ExpressionSyntax("a slice cannot step by 0", text.find("["))
    elif any(child["type"] == "expref" for child in _children(node)):
        yield ExpressionSyntax("'&' is only for an argument that takes an expression", text.find("&"))


def _faults_of_function(node: Node, text: str) -> Iterator[ExpressionSyntax]:
    name, given = node["value"], node["children"]
    found = re.search(rf"\b{re.escape(name)}\s*\(", text)
    offset = found.start() if found else 0
    if (takes := arity(name)) is None:
        close = difflib.get_close_matches(name, CatalogFunctions.FUNCTION_TABLE, 1)
        yield ExpressionSyntax(f"no function '{name}'", offset, f"did you mean '{close[0]}'?" if close else None)
        return
    least, most = takes
    if len(given) < least or (most is not None and len(given) > most):
        wanted = f"at least {least}" if most is None else str(least) if least == most else f"{least} to {most}"
        yield ExpressionSyntax(f"{name}() takes {wanted} argument{'' if wanted == '1' else 's'}, not {len(given)}", offset)
        return
    for position, argument in enumerate(given):
        if (argument["type"] == "expref") is not takes_expression(name, position):
            wanted = "an expression (&key)" if takes_expression(name, position) else "a value, no expression"
            yield ExpressionSyntax(f"{name}() takes {wanted} as argument {position + 1}", offset)


def _children(node: Node) -> list[Node]:
    return [child for child in node["children"] if isinstance(child, dict)]


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in _children(node):
        yield from _nodes(child)
