"""The name of a topic: endpoint, params, and exactly what the endpoint uses of the client that asks, no more and no less."""

from __future__ import annotations

import hashlib
from typing import Any

from msgspec.structs import replace

from app.core.context import Context
from app.core.data import canonical
from app.engine.forwarding import forwarded_headers, forwarded_query
from app.engine.plan import Inputs, Plan


def topic_key(plan: Plan, inputs: Inputs) -> bytes:
    """Equal for two clients exactly when one may be given what was fetched for the other."""
    named = {"endpoint": plan.name, "params": inputs.params, "client": used_of_client(plan, inputs.context)}
    return hashlib.blake2b(canonical(named), digest_size=20).digest()


def used_of_client(plan: Plan, context: Context) -> dict[str, Any]:
    """Headers and query as forwarded, the claims and the fields of `request` that expressions name; empty for a public endpoint."""
    used: dict[str, Any] = {}
    if forwarded := forwarded_headers(sorted(plan.uses.headers), context):
        used["headers"] = sorted(forwarded, key=lambda pair: pair[0])
    if query := forwarded_query(_query_rule(plan), context):
        used["query"] = list(query)
    if plan.uses.claims:
        used["claims"] = _claims(plan.uses.claims, context)
    for field in _fields(plan.uses.request):
        used[field] = getattr(context, field)
    return used


def kept_of_client(plan: Plan, context: Context) -> Context:
    """The context as a topic keeps it: nothing of the client's head but what goes on, since a topic outlives its first subscriber."""
    headers = forwarded_headers(sorted(plan.uses.headers), context)
    return replace(context, headers=headers, query=list(forwarded_query(_query_rule(plan), context)))


def _query_rule(plan: Plan) -> list[str]:
    forwards = [plan.spec.forward, *(call.forward for call in plan.spec.calls.values())]
    return sorted({name for forward in forwards for name in forward.query})


def _claims(names: frozenset[str], context: Context) -> dict[str, Any] | None:
    claims = context.identity.claims if context.identity is not None else None
    if claims is None or "*" in names:
        return claims
    return {name: claims.get(name) for name in sorted(names)}


def _fields(names: frozenset[str]) -> list[str]:
    """Fields of `request` besides its headers, which stand among the forwarded ones; its method is always GET."""
    return [field for field in ("id", "address") if field in names or "*" in names]
