"""What a call would ask for now, without asking: live mode runs a dependent again when this has changed."""

from __future__ import annotations

from collections.abc import Hashable

from app.core.call import Record
from app.core.context import Context
from app.core.errors import CallFailure
from app.core.scope import Scope
from app.engine.forwarding import request_of
from app.engine.plan import Step
from app.expressions.values import is_true


def request_key(step: Step, scope: Scope, context: Context) -> Hashable:
    """Equal exactly when the call would make equal requests; what cannot be asked (skipped, not computable) has a key too."""
    if step.forward is not None:
        scope = scope.inner(request=request_of(context, step.forward))
    try:
        if step.when is not None and not is_true(step.when.search(scope)):
            return ("skipped",)
        if step.each is None:
            return step.prepare(scope, context, Record(), 0.0).key
        items = step.each.search(scope)
        scopes = [scope.inner(item=item) for item in items] if isinstance(items, list) else []
        return tuple(step.prepare(inner, context, Record(), 0.0).key for inner in scopes)
    except CallFailure as failure:
        return (failure.type, failure.detail)
