"""JSON Schema of the catalog as it is written, for editors: shorthands, `off`, `${VAR}`, `include` and `defaults` are in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.catalog import units
from app.catalog.defaults import OFF_CALL, OFF_ENDPOINT, OFF_UPSTREAM
from app.catalog.descriptions import KEYS
from app.catalog.schema import Catalog

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_OFF = {"Upstream": OFF_UPSTREAM, "CallSpec": OFF_CALL, "Endpoint": OFF_ENDPOINT}
_MERGED = {"Hedge", "Rate", "Live", "Limit", "Basic", "Named", "Oauth2"}
"""Models whose required keys may come from `defaults`."""
_SUBSTITUTED = {"$ref": "#/$defs/Substituted"}
_NOTHING: tuple[Schema, ...] = ({"type": "null"}, _SUBSTITUTED)
"""Nothing, as it is written, and as `${VAR:-}` says it."""
_SHORT: Mapping[tuple[str, str], Schema] = {
    ("Upstream", "concurrency"): {"type": "integer", "minimum": 1},
    ("Upstream", "rate"): {"type": "string", "pattern": r"^\d+(\.\d+)?/(s|m|h)$"},
    ("Upstream", "redirects"): {"type": "integer", "minimum": 0},
}


def json_schema() -> Schema:
    """The JSON Schema (2020-12) of a catalog file. What `check` accepts it accepts; meaning (names, cycles) is `check`'s alone."""
    whole = Catalog.model_json_schema(by_alias=True)
    models: dict[str, Schema] = whole.pop("$defs")
    root = _model("Catalog", whole)
    root["properties"] = {
        "include": {"anyOf": [{"type": "array", "items": {"type": "string"}}, *_NOTHING], "description": KEYS["Catalog"]["include"]},
        "defaults": _defaults(),
        **root["properties"],
    }
    definitions = {name: _model(name, model) for name, model in sorted(models.items())}
    definitions["Substituted"] = {"type": "string", "pattern": r"\$\{", "description": "${VAR}, ${VAR:-default} or ${file:PATH}"}
    return {"$schema": DIALECT, "title": "Merganser catalog", **root, "$defs": definitions}


def _defaults() -> Schema:
    parts = {"upstream": "Upstream", "endpoint": "Endpoint"}
    forms = {key: {"anyOf": [{"$ref": f"#/$defs/{model}"}, *_NOTHING]} for key, model in parts.items()}
    properties = {key: {**form, "description": KEYS["Defaults"][key]} for key, form in forms.items()}
    mapping = {"type": "object", "additionalProperties": False, "properties": properties}
    return {"anyOf": [mapping, *_NOTHING], "description": KEYS["Catalog"]["defaults"]}


def _model(name: str, model: Schema) -> Schema:
    """A model's schema with descriptions, defaults as they are written, and every form that the loader takes."""
    required = model.get("required", [])
    properties = {key: _property(name, key, schema, key not in required) for key, schema in model.get("properties", {}).items()}
    done = {key: value for key, value in model.items() if key not in ("title", "properties")}
    if name in _MERGED:
        done.pop("required", None)
    if name == "Credentials":
        done |= {"minProperties": 1, "maxProperties": 1}
    return {**done, "properties": properties}


def _property(model: str, key: str, schema: Schema, is_optional: bool) -> Schema:
    forms = _forms(_loose({k: v for k, v in schema.items() if k not in ("title", "default", "discriminator")}))
    if (short := _SHORT.get((model, key))) is not None:
        forms += [short, _SUBSTITUTED]
    if key in _OFF.get(model, ()):
        forms += [{"const": "off"}, _SUBSTITUTED]
    if is_optional and model in (*_OFF, "Catalog"):
        forms.append({"type": "null"})
    if {"type": "null"} in forms and {"type": "string"} not in forms:
        forms.append(_SUBSTITUTED)
    unique = [form for number, form in enumerate(forms) if form not in forms[:number]]
    done: Schema = unique[0] if len(unique) == 1 else {} if {} in unique else {"anyOf": unique}
    done = {**done, "description": KEYS[model][key]}
    if (default := written_default(model, key)) is not None:
        done["default"] = default
    return done


def _forms(schema: Schema) -> list[Schema]:
    """The alternatives of a schema."""
    return list(schema["anyOf"]) if schema.keys() == {"anyOf"} else [schema]


def _loose(schema: Schema) -> Schema:
    """The schema, or `${...}` wherever a value that is no free text stands."""
    if "anyOf" in schema:
        forms = [inner for form in schema["anyOf"] for inner in _forms(_loose(form))]
        return {"anyOf": [form for number, form in enumerate(forms) if form not in forms[:number]]}
    done = {key: value for key, value in schema.items() if key not in ("title", "discriminator")}
    for key in ("items", "additionalProperties"):
        if isinstance(done.get(key), dict):
            done[key] = _loose(done[key])
    is_tight = done.get("type") in ("integer", "number", "boolean") or any(key in done for key in ("const", "enum", "pattern"))
    return {"anyOf": [done, _SUBSTITUTED]} if is_tight else done


# --- defaults, as they are written


def models() -> dict[str, type[BaseModel]]:
    """Every model of a catalog by its name, in the order in which a reader meets them."""
    found: dict[str, type[BaseModel]] = {}

    def visit(kind: Any) -> None:
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__name__ not in found:
            found[kind.__name__] = kind
            for field in kind.model_fields.values():
                visit(field.annotation)
        for inner in getattr(kind, "__args__", ()):
            visit(inner)

    visit(Catalog)
    return found


_MODELS = models()


def written_default(model: str, key: str) -> Any:
    """A key's default as a catalog would say it; None where there is none, or where it is nothing (empty, absent)."""
    field = next(field for name, field in _MODELS[model].model_fields.items() if (field.alias or name) == key)
    value = field.get_default()
    if field.is_required() or value is None or value in ([], {}) or isinstance(value, BaseModel):
        return None
    validators = [getattr(one, "func", None) for one in field.metadata]
    for text_of, kinds in (
        (units.duration_text, (units.seconds, units.positive_seconds, units.interval)),
        (units.size_text, (units.size,)),
        (units.share_text, (units.share,)),
    ):
        if any(kind in validators for kind in kinds):
            return text_of(value)
    return value
