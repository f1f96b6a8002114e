"""One endpoint over HTTP: who asks, what for, the run, the answer; a client that leaves takes its upstream calls along."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.types import Receive, Scope, Send

from app.api.arrival import context_of
from app.api.body import Bodies, ClientGone, takes_body
from app.api.compress import gzipped
from app.api.disconnect import Watched
from app.api.explain import Explains, explained
from app.api.negotiate import NDJSON, SSE, Form, form_of
from app.api.params import compile_params, parse_query
from app.api.problems import MEDIA_TYPE, Fault, Problem, RawHeaders, send_problem, verdict
from app.api.proxy import Passage
from app.api.render import Renderer, etag, has_it, server_timing
from app.api.seen import seen
from app.api.service import Service
from app.api.stream import stream
from app.catalog.schema import Body, Catalog
from app.core.answer import Answer
from app.core.context import Context
from app.core.data import Data
from app.engine.plan import Inputs, Plan
from app.engine.reads import paths_read
from app.engine.run import new_scope, run

_SAID = frozenset({"accept", "accept-encoding", "if-none-match", "last-event-id"})
_MEDIA: dict[Form, str] = {"sse": SSE, "ndjson": NDJSON}


class EndpointHandler:
    """The ASGI application behind one route."""

    def __init__(self, name: str, catalog: Catalog, service_of: Callable[[], Service]) -> None:
        endpoint = catalog.endpoints[name]
        self._name, self._service_of = name, service_of
        self._params = compile_params(endpoint)
        self._bodies = Bodies(endpoint.body or Body())
        self._renderer = Renderer(endpoint, catalog.auth, paths_read(endpoint, catalog.upstreams))
        proxy = endpoint.proxy
        self._explains = Explains(endpoint)
        self._passage = Passage(endpoint, proxy, catalog.upstreams[proxy.upstream]) if proxy is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; every error is a problem document."""
        seen(scope).endpoint = self._name
        service = self._service_of()
        plan = service.plans[self._name]
        try:
            is_explained = self._explains.asked(scope, service.settings)
            inputs = await self._inputs(plan, scope, receive, service)
            if is_explained:
                await self._explain(plan, inputs, service, scope, receive, send)
            elif self._passage is not None:
                await self._passage(plan, inputs, service, scope, receive, send)
            else:
                await self._answer(plan, inputs, service, scope, receive, send)
        except Problem as problem:
            await send_problem(problem, scope, send)
        except ClientGone:
            return

    async def _inputs(self, plan: Plan, scope: Scope, receive: Receive, service: Service) -> Inputs:
        """What the request brings, once it may: 401, then 429, then 422 with every fault, then 403.

        Where `allow` says no the request is not counted: else who may not ask could use up what others may.
        """
        context = context_of(scope, service.settings.trusted_proxies)
        if plan.spec.auth:
            context.identity = await service.gate.identify(plan.spec.auth, context.headers, plan.spec.deadline)
        if plan.allow is None:
            await service.gate.limit(plan, context)
        query = context.query = parse_query(scope.get("query_string", b""))
        params, faults = self._params.bind(scope["path_params"], query, context.headers)
        body, more = await self._body(plan, scope, receive)
        if faults or more:
            raise Problem(422, errors=[*faults, *more])
        inputs = Inputs(params, context, body)
        if plan.allow is not None:
            service.gate.authorize(plan, new_scope(plan, inputs))
            await service.gate.limit(plan, context)
        return inputs

    async def _body(self, plan: Plan, scope: Scope, receive: Receive) -> tuple[Data | None, list[Fault]]:
        """The body where one is declared or read by an expression; any other is left alone, a proxy's is streamed."""
        if self._passage is not None or not takes_body(plan.spec, plan.reads):
            return None, []
        return await self._bodies.read(scope, receive)

    async def _answer(self, plan: Plan, inputs: Inputs, service: Service, scope: Scope, receive: Receive, send: Send) -> None:
        said = _said(inputs.context)
        form = form_of(said.get("accept", ""))
        if form != "json" and inputs.context.method != "HEAD":
            seen(scope).surface = form
            head = self._renderer.stream_headers(_MEDIA[form])
            return await stream(form, plan, inputs, service.hub, head, said.get("last-event-id"), scope, receive, send)
        async with Watched(scope, receive):
            answer = await run(plan, inputs, service.runtime)
        about = seen(scope)
        about.complete, about.calls = answer.complete, len(answer.outcomes)
        if (problem := verdict(plan, answer)) is not None:
            problem.headers += (("merganser-complete", "false"), ("server-timing", server_timing(answer.outcomes.values(), answer.began).decode()))
            raise problem
        if form != "json":
            await _send(send, 200, self._renderer.stream_headers(_MEDIA[form]), b"")
            return None
        headers = self._renderer.headers(answer, inputs.context, service.runtime.now())
        return await self._send_answer(answer, headers, inputs.context.method, said, send)

    async def _explain(self, plan: Plan, inputs: Inputs, service: Service, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer for an operator: as JSON whatever was asked for, with the status that it would have had, and never stored."""
        async with Watched(scope, receive):
            answer = await run(plan, inputs, service.runtime)
        about = seen(scope)
        about.complete, about.calls = answer.complete, len(answer.outcomes)
        problem = verdict(plan, answer)
        body = explained(plan, answer, service.states, problem, about.request_id)
        timing = (b"server-timing", server_timing(answer.outcomes.values(), answer.began))
        kind = (b"content-type", b"application/json" if problem is None else MEDIA_TYPE)
        headers = [kind, (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"), timing]
        await _send(send, 200 if problem is None else problem.status, headers, body)

    async def _send_answer(self, answer: Answer, headers: RawHeaders, method: str, said: Mapping[str, str], send: Send) -> None:
        if method in ("GET", "HEAD"):
            tag = etag(answer)
            headers.append((b"etag", tag))
            if "if-none-match" in said and has_it(said["if-none-match"], tag):
                return await _send(send, 304, [header for header in headers if header[0] != b"content-type"], b"")
        body = self._renderer.body(answer)
        if "accept-encoding" in said and (packed := await gzipped(body, said["accept-encoding"])) is not None:
            headers.append((b"content-encoding", b"gzip"))
            body = packed
        headers.append((b"content-length", b"%d" % len(body)))
        return await _send(send, 200, headers, b"" if method == "HEAD" else body)


def _said(context: Context) -> dict[str, str]:
    """The headers that choose the form of an answer; repeated ones joined."""
    said: dict[str, str] = {}
    for name, value in context.headers:
        if name in _SAID:
            said[name] = f"{said[name]},{value}" if name in said else value
    return said


async def _send(send: Send, status: int, headers: RawHeaders, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
