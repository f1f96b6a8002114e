"""Keys, types and ranges: what the models of `schema.py` refuse, told at the key or value at fault, in a user's words."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from app.catalog.defaults import OFF_CALL, OFF_ENDPOINT, OFF_UPSTREAM
from app.catalog.faults import Faults, Place, did_you_mean
from app.catalog.nodes import Items, Leaf, Node, Table, plain
from app.catalog.schema import Catalog
from app.catalog.units import UnitError
from app.catalog.yaml_nodes import resolve

Location = Sequence[int | str]
_WANTED = {
    "string_type": "a text", "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number", "bool_type": "true or false",
    "list_type": "a list", "dict_type": "a mapping", "model_type": "a mapping", "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
}  # fmt: skip
_LIMITS = {
    "greater_than_equal": "at least {ge}", "less_than_equal": "at most {le}", "greater_than": "more than {gt}", "less_than": "less than {lt}",
    "string_too_short": "a text that is not empty", "too_short": "a list of {min_length} or more", "literal_error": "{expected}",
    "string_pattern_mismatch": "a text of the form {pattern}",
}  # fmt: skip
_SHORT = {"concurrency": "a whole number", "redirects": "a whole number", "rate": "a rate such as 100/s"}
_OFF = {"upstreams": OFF_UPSTREAM, "endpoints": OFF_ENDPOINT, "calls": OFF_CALL}
"""By section, the keys of its mappings of which `off` takes the policy away."""
_FORMS = {"module:function": re.compile(r"python"), "sha256: and 64 hex digits": re.compile(r"keys")}


def validated(node: Table, faults: Faults) -> Catalog | None:
    """A resolved catalog's tree as the model; None where it is none, with every reason told."""
    try:
        return Catalog.model_validate(plain(node), by_alias=True, by_name=False)
    except ValidationError as error:
        _tell(error, node, faults, ())
        return None


def check_inherited(node: Table, model: type[BaseModel], faults: Faults, under: str) -> None:
    """Tells what is wrong with `defaults.upstream` or `.endpoint`, but for what an heir may add. `under`: the heirs' section."""
    try:
        model.model_validate(plain(node), by_alias=True, by_name=False)
    except ValidationError as error:
        _tell(error, node, faults, (under, "*"), is_whole=False)


def _tell(error: ValidationError, root: Table, faults: Faults, under: tuple[str, ...], is_whole: bool = True) -> None:
    """Faults of pydantic's errors; those of one value (the arms of a union) become one."""
    same: dict[Place, list[Mapping[str, Any]]] = {}
    found: dict[Place, tuple[Node, list[str]]] = {}
    for one in error.errors(include_url=False, include_input=False):
        node, place, keys = _located(root, one["loc"])
        if one["type"] == "extra_forbidden":
            key = str(one["loc"][-1])
            parent = _located(root, one["loc"][:-1])[0]
            faults.add(
                parent.key(key) if isinstance(parent, Table) else place,
                f"unknown key '{key}'",
                did_you_mean(key, known_keys([*under, *one["loc"][:-1]])),
            )
        elif one["type"] == "missing":
            if is_whole:
                faults.add(place, f"{_owner(keys)}{one['loc'][-1]} is missing")
        else:
            same.setdefault(place, []).append(one)
            found[place] = (node, [*under, *keys])
    for place, group in same.items():
        node, keys = found[place]
        faults.add(place, *_message(group, node, keys))


def _located(root: Table, location: Location) -> tuple[Node, Place, list[str]]:
    """The node of a location, where to point at, and the keys on the way. Tokens that name an arm of a union are passed over."""
    node: Node = root
    place, keys, key_place = root.place, list[str](), root.place
    for token in location:
        if isinstance(node, Table) and (entry := node.entries.get(str(token))):
            node, place, key_place = entry.node, entry.node.place, entry.key
            keys.append(str(token))
        elif isinstance(node, Items) and isinstance(token, int) and token < len(node.items):
            node = node.items[token]
            place = key_place = node.place
    if isinstance(node, Table):
        return node, key_place, keys
    return node, (key_place if isinstance(node, Items) and not node.items else place), keys


def _owner(keys: list[str]) -> str:
    return f"{keys[-1]}: " if keys else ""


def _message(group: list[Mapping[str, Any]], node: Node, keys: list[str]) -> tuple[str, str | None]:
    """Message and hint for one value that is refused, by every arm of its union."""
    for one in group:
        if one["type"] == "value_error" and not isinstance(one["ctx"]["error"], UnitError):
            return f"{_owner(keys)}{one['ctx']['error']}", None
        if one["type"] in ("union_tag_invalid", "union_tag_not_found"):
            return f"{_owner(keys)}type should be 'api_key' or 'jwt'", None
    wanted = list(dict.fromkeys(_wanted(one, keys) for one in group))
    if "a mapping" in wanted and isinstance(node, Leaf):
        wanted = _with_short_forms([one for one in wanted if one != "a mapping"], keys)
    words = [word for one in group for word in re.findall(r"'([^']+)'", str(one.get("ctx", {}).get("expected", "")))]
    name = keys[-1] if keys else "the catalog"
    return f"{name} should be {' or '.join(wanted)}, not {_what(node, keys)}", _hint(node, wanted, words)


def _with_short_forms(others: list[str], keys: list[str]) -> list[str]:
    """What a policy may be besides a mapping: its short form, else `off` where that takes it away."""
    section, key = keys[-3] if len(keys) > 2 else "", keys[-1] if keys else ""
    if section == "upstreams" and key in _SHORT:
        return [*others, _SHORT[key], "a mapping"]
    return [*others, "a mapping", *(["off"] if key in _OFF.get(section, ()) else [])]


def _wanted(one: Mapping[str, Any], keys: list[str]) -> str:
    kind, context = str(one["type"]), one.get("ctx", {})
    if kind == "value_error":
        return str(context["error"].wanted)
    if kind == "string_pattern_mismatch":
        form = next((form for form, key in _FORMS.items() if any(key.fullmatch(k) for k in keys[-2:])), None)
        return f"of the form {form}" if form else "of another form"
    if kind in _LIMITS:
        return _LIMITS[kind].format(**context)
    return _WANTED.get(kind, "of another kind")


def _what(node: Node, keys: list[str]) -> str:
    """The value at fault as it may be shown: nothing of what stands under `auth`."""
    if isinstance(node, Table):
        return "a mapping"
    if isinstance(node, Items):
        return "a list" if node.items else "an empty list"
    if "auth" in keys or "tls" in keys:
        return "this"
    return "nothing" if node.value is None and node.pieces is None else node.shown


def _hint(node: Node, wanted: list[str], words: list[str]) -> str | None:
    if not isinstance(node, Leaf):
        return None
    if words and isinstance(node.value, str) and node.pieces is None and (hint := did_you_mean(node.value, words)):
        return hint
    if wanted == ["a text"] and node.value is not None:
        return "quote it where a text is meant"
    if isinstance(node.value, str) and any("number" in one or "true" in one for one in wanted) and not isinstance(_resolved(node), str):
        return "write it without quotes"
    return None


def _resolved(leaf: Leaf) -> object:
    try:
        return resolve(str(leaf.value))
    except ValueError:
        return leaf.value


# --- the keys that are known at a location


def known_keys(location: Location) -> list[str]:
    """The keys that a mapping at this location of a catalog may have."""
    kinds: list[Any] = [Catalog]
    for token in location:
        inner = [below for kind in kinds for below in _below(kind, token)]
        kinds = inner or [kind for kind in kinds if not isinstance(token, int)]
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    keys = [field.alias or name for model in models for name, field in model.model_fields.items()]
    return [*keys, "include", "defaults"] if models == [Catalog] else keys


def _below(kind: Any, token: int | str) -> Iterator[Any]:
    """The types of the values under a key or number of a value of this type."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if token in (field.alias, name):
                yield from _arms(field.annotation)
    elif get_origin(kind) is dict:
        yield from _arms(get_args(kind)[1])
    elif get_origin(kind) is list and isinstance(token, int):
        yield from _arms(get_args(kind)[0])


def _arms(kind: Any) -> Iterator[Any]:
    """The alternatives of a type, without `Annotated` and None."""
    if get_origin(kind) is Annotated:
        yield from _arms(get_args(kind)[0])
    elif get_origin(kind) in (Union, types.UnionType):
        for arm in get_args(kind):
            yield from _arms(arm)
    elif kind is not type(None):
        yield kind
