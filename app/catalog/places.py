"""Which values of a catalog hold expressions: templates (`{...}` in text) or bare JMESPath."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from app.catalog.faults import Faults
from app.catalog.interpolate import as_expression, as_template, settled
from app.catalog.nodes import Entry, Table, table

UPSTREAM_TEMPLATES = ("headers", "query")
CALL_TEMPLATES = ("path", "query", "headers", "body", "form", "variables", "args", "fallback")
CALL_EXPRESSIONS = ("when", "each", "select")
ENDPOINT_TEMPLATES = ("response",)
ENDPOINT_EXPRESSIONS = ("allow",)
PROXY_TEMPLATES = ("path",)


def _with(node: Table, faults: Faults, templates: Iterable[str], expressions: Iterable[str] = ()) -> Table:
    changes: dict[str, Entry | None] = {}
    for keys, text_of in ((templates, as_template), (expressions, as_expression)):
        for key in keys:
            if (entry := node.entries.get(key)) is not None:
                changes[key] = replace(entry, node=settled(entry.node, faults, text_of))
    return node.with_entries(changes) if changes else node


def settle_upstream(upstream: Table, faults: Faults) -> Table:
    """An upstream whose templates hold what was substituted as literal text."""
    return _with(upstream, faults, UPSTREAM_TEMPLATES)


def settle_call(call: Table, faults: Faults) -> Table:
    """A call whose templates and expressions hold what was substituted as literal text."""
    return _with(call, faults, CALL_TEMPLATES, CALL_EXPRESSIONS)


def settle_endpoint(endpoint: Table, faults: Faults) -> Table:
    """An endpoint, without its calls, whose templates and expressions hold what was substituted as literal text."""
    done = _with(endpoint, faults, ENDPOINT_TEMPLATES, ENDPOINT_EXPRESSIONS)
    proxy = table(done, "proxy")
    if proxy is None:
        return done
    return done.with_entries({"proxy": replace(done.entries["proxy"], node=_with(proxy, faults, PROXY_TEMPLATES))})
