"""docs/catalog.md: every key of a catalog, made from the models that check it. `python -m app.catalog.reference` prints it."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.catalog import units
from app.catalog.check_names import RESERVED
from app.catalog.check_routes import OWN
from app.catalog.defaults import OFF_CALL, OFF_ENDPOINT, OFF_UPSTREAM
from app.catalog.descriptions import KEYS
from app.catalog.editor_schema import models, written_default
from app.catalog.yaml_nodes import MAX_DEPTH, MAX_NODES

_RESERVED = ", ".join(f"`{name}`" for name in RESERVED[:-1]) + f" and `{RESERVED[-1]}`"
_HEAD = f"""# The catalog

<!-- Generated from app/catalog by `make docs`; change it there. -->

A catalog is one YAML file, or one and those that it includes. `merganser check` tells every fault in it at once, with its
place; `merganser schema` prints its JSON Schema, which editors complete and check with. Put this on the first line:

```yaml
# yaml-language-server: $schema=merganser.schema.json
```

## How it is read

- YAML 1.2, core schema: `on`, `off`, `no` and `12:30` are texts, `0o17` is a number. No tags, no merge keys; aliases are
  expanded. At most {MAX_NODES:,} nodes, {MAX_DEPTH} deep. Unknown and duplicate keys are faults. U+0085, U+2028 and U+2029,
  line breaks of older YAML, are written as escapes in double quotes (`"\\u2028"`).
- Names begin with a letter, a digit or `_`, and go on with these, `.` and `-`. {_RESERVED} are
  reserved; the params and the calls of an endpoint share one namespace.
- Durations are `250ms 2s 1m 1h`, sizes `64KiB 2MiB` (a number is bytes), rates `100/s 600/m 10/h`, shares `20%`.
- Our own paths cannot be taken: {", ".join(f"`{path}`" for path in OWN)}.

### Values from outside

| in a value | stands for |
| --- | --- |
| `${{VAR}}` | the environment variable, or what `.env` says; a fault where neither has it |
| `${{VAR:-default}}` | the same, or the default where it is missing or empty |
| `${{file:/run/secrets/x}}` | the text of a file, one last newline dropped; relative names count from the main catalog's folder |
| `$${{` | the characters `${{`; a whole `$${{VAR}}` is the text `${{VAR}}` |

An unquoted value gets its type after substitution: `maximum: ${{MAX}}` is a number. Keys are left alone. What was
substituted is never read as an expression; in one it may stand inside of quotes, as a text (`when: "kind == '${{KIND}}'"`),
or be a value of a literal, read as JSON (``when: "days > `${{LEAST}}`"``).

### Expressions

A text may hold `{{expressions}}`: [JMESPath](https://jmespath.org) over the endpoint's params, its calls by name, `body`,
`claims`, `request` (`id method address headers`) and, inside `each`, `item`. `{{{{` and `}}}}` are literal braces. A text that
is one expression and nothing else keeps its value's type. They may stand in `path query headers body form variables args
fallback` of a call, in `headers` and `query` of an upstream (read for each call), in `response` and in the path of a proxy.
`when each select allow` are bare expressions, without braces; `select` looks at the decoded body.
The functions are in [expressions](expressions.md).

"""
_TYPES = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`"}
_UNITS = {
    units.seconds: "duration", units.positive_seconds: "duration above 0", units.interval: "duration, at least 100ms",
    units.size: "size", units.per_second: "rate", units.share: "share",
}  # fmt: skip
_TITLES = {
    "Catalog": "The file", "CallSpec": "Call", "ApiKey": "Scheme `api_key`", "Jwt": "Scheme `jwt`", "Named": "Credential in a header or query",
    "Basic": "Credential `basic`", "Oauth2": "Credential `oauth2`", "Cors": "CORS", "Tls": "TLS",
}  # fmt: skip
_OFF = {"Upstream": OFF_UPSTREAM, "CallSpec": OFF_CALL, "Endpoint": OFF_ENDPOINT}


def reference() -> str:
    """The page, Markdown."""
    return _HEAD + "\n".join(_section(name, model) for name, model in models().items())


def _section(name: str, model: type[BaseModel]) -> str:
    lines = [f"## {_title(name)}", "", (model.__doc__ or "").strip(), "", "| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    if name == "Catalog":
        lines += [
            _row("include", "list of file names or patterns", "", KEYS[name]["include"]),
            _row("defaults", "mapping", "", KEYS[name]["defaults"]),
        ]
    for field_name, field in model.model_fields.items():
        key = field.alias or field_name
        default = "required" if field.is_required() else _default(name, key)
        kind = _kind(field)
        lines.append(_row(key, f"{kind}, `off`" if key in _OFF.get(name, ()) else kind, default, KEYS[name][key]))
    return "\n".join(lines) + "\n"


def _title(name: str) -> str:
    return _TITLES.get(name, name)


def _row(key: str, kind: str, default: str, meaning: str) -> str:
    return f"| `{key}` | {kind} | {default} | {meaning} |".replace(" |  | ", " | | ")


def _default(model: str, key: str) -> str:
    value = written_default(model, key)
    if value is None:
        return ""
    if isinstance(value, list):
        return f"`[{', '.join(str(one) for one in value)}]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _kind(field: FieldInfo) -> str:
    """What a key's value may be, in words."""
    for one in field.metadata:
        if getattr(one, "func", None) in _UNITS:
            return _UNITS[one.func]
    return _joined(field.annotation)


def _joined(kind: Any) -> str:
    """A type in words, `scalar` for any text, number or boolean."""
    words = list(dict.fromkeys(_words(kind)))
    if {"text", "number", _TYPES[bool]} <= set(words):
        words = ["scalar", *(word for word in words if word not in _TYPES.values())]
    if "number" in words:
        words = [word for word in words if word != "whole number"]
    return " or ".join(words)


def _words(kind: Any) -> Iterator[str]:
    """The alternatives of a type, each in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        for arm in inner:
            yield from _words(arm)
    elif origin is Annotated:
        unit = next((_UNITS[one.func] for one in inner[1:] if getattr(one, "func", None) in _UNITS), None)
        yield from [unit] if unit else _words(inner[0])
    elif origin is Literal:
        yield ", ".join(f"`{one}`" for one in inner)
    elif origin is list:
        yield f"list of {_joined(inner[0])}"
    elif origin is dict:
        yield "mapping" if inner[1] is Any else f"mapping to {_joined(inner[1])}"
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield f"[{_title(kind.__name__).lower().replace('`', '')}](#{_anchor(kind.__name__)})"
    elif kind is Any:
        yield "any value"
    elif kind is not type(None):
        yield _TYPES[kind]


def _anchor(name: str) -> str:
    return _title(name).lower().replace("`", "").replace(" ", "-")


if __name__ == "__main__":
    sys.stdout.write(reference())
