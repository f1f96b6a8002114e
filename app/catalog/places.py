"""Which values of a catalog hold expressions: templates (`{...}` in text) or bare JMESPath."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from app.catalog.interpolate import marked
from app.catalog.nodes import Entry, Items, Node, Table, table

UPSTREAM_TEMPLATES = ("headers", "query")
CALL_TEMPLATES = ("path", "query", "headers", "body", "form", "variables", "args", "fallback")
CALL_EXPRESSIONS = ("when", "each", "select")
ENDPOINT_TEMPLATES = ("response",)
ENDPOINT_EXPRESSIONS = ("allow",)
PROXY_TEMPLATES = ("path",)


def merged_names(response: Node | None) -> Items | None:
    """The list of a `{merge: [a, b]}`, which holds names and no templates; None for any other response."""
    listed = response.get("merge") if isinstance(response, Table) and len(response.entries) == 1 else None
    return listed if isinstance(listed, Items) else None


def _marked(node: Table, keys: Iterable[str]) -> Table:
    changes: dict[str, Entry | None] = {key: replace(entry, node=marked(entry.node)) for key in keys if (entry := node.entries.get(key))}
    return node.with_entries(changes) if changes else node


def marked_upstream(upstream: Table) -> Table:
    """An upstream in whose templates what was substituted is marked."""
    return _marked(upstream, UPSTREAM_TEMPLATES)


def marked_call(call: Table) -> Table:
    """A call in whose templates and expressions what was substituted is marked."""
    return _marked(call, (*CALL_TEMPLATES, *CALL_EXPRESSIONS))


def marked_endpoint(endpoint: Table) -> Table:
    """An endpoint, without its calls, in whose templates and expressions what was substituted is marked."""
    templates = ENDPOINT_TEMPLATES if merged_names(endpoint.get("response")) is None else ()
    done = _marked(endpoint, (*templates, *ENDPOINT_EXPRESSIONS))
    proxy = table(done, "proxy")
    if proxy is None:
        return done
    return done.with_entries({"proxy": replace(done.entries["proxy"], node=_marked(proxy, PROXY_TEMPLATES))})
