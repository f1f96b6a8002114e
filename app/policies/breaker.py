"""Leaves an origin alone while it fails: calls fail at once with `circuit_open`, and one probe at a time asks whether it is back."""

from __future__ import annotations

from collections.abc import Mapping

from app.core.call import Call, Policy, Record, Send
from app.core.errors import CallFailure, CircuitOpen
from app.core.events import BreakerChanged, Rejected
from app.core.reply import Reply
from app.core.runtime import Runtime
from app.policies.circuit import Circuit
from app.policies.state import UpstreamState


class Guard:
    """A circuit in service: judges how attempts ended, and tells when its state changes."""

    __slots__ = ("_circuit", "_origin", "_rejected", "_runtime", "_upstream")

    def __init__(self, upstream: str, origin: str, circuit: Circuit, runtime: Runtime) -> None:
        self._upstream, self._origin = upstream, origin
        self._circuit = circuit
        self._runtime = runtime
        self._rejected = Rejected(upstream, "breaker")

    def admit(self, record: Record | None = None) -> int:
        """A ticket for one attempt; raises CircuitOpen. What is out of the ordinary is noted in the `record`."""
        circuit, now = self._circuit, self._runtime.now()
        before = circuit.state
        ticket = circuit.admit(now)
        if ticket is None:
            self._runtime.emit(self._rejected)
            if record is not None:
                record.notes.append("kept back: the breaker is open")
            raise CircuitOpen(retry_after=circuit.retry_after(now))
        if circuit.state != before:
            self._tell()
            if record is not None:
                record.notes.append("the breaker's probe: one attempt, to see whether the upstream is back")
        return ticket

    def good(self, ticket: int) -> None:
        """The attempt was answered."""
        before = self._circuit.state
        self._circuit.good(ticket, self._runtime.now())
        if self._circuit.state != before:
            self._tell()

    def ended(self, ticket: int, fault: BaseException) -> None:
        """The attempt ended with `fault`.

        What blames the upstream is bad, any other answer of it is good; a cancellation, and what never reached the
        upstream, says nothing about it.
        """
        circuit, now = self._circuit, self._runtime.now()
        before = circuit.state
        if not isinstance(fault, CallFailure):
            circuit.give_back(ticket, now)
        elif fault.blames_upstream:
            circuit.bad(ticket, now)
        elif fault.sent:
            circuit.good(ticket, now)
        else:
            circuit.give_back(ticket, now)
        if circuit.state != before:
            self._tell()

    def broke(self, ticket: int, counted: float, fault: BaseException) -> None:
        """An answer that was good by its head, at `counted`, ended with `fault`: bad instead, where that blames the upstream."""
        circuit = self._circuit
        if not isinstance(fault, CallFailure) or not fault.blames_upstream:
            return
        before = circuit.state
        circuit.broke(ticket, counted, self._runtime.now())
        if circuit.state != before:
            self._tell()

    def _tell(self) -> None:
        self._runtime.emit(BreakerChanged(self._upstream, self._origin, self._circuit.state))

    def __repr__(self) -> str:
        return f"<Guard {self._upstream} {self._circuit!r}>"


def guards(state: UpstreamState) -> Mapping[str | None, Guard]:
    """The guard of each origin; None stands for the first."""
    found: dict[str | None, Guard] = {origin: Guard(state.name, origin, circuit, state.runtime) for origin, circuit in state.circuits.items()}
    found[None] = found[state.origins[0]]
    return found


def breaker(state: UpstreamState) -> Policy:
    """Guards each of the upstream's origins by its own circuit."""
    by_origin = guards(state)

    def wrap(send: Send) -> Send:
        async def guarded(call: Call) -> Reply:
            guard = by_origin[call.origin]
            ticket = guard.admit(call.record)
            try:
                reply = await send(call)
            except BaseException as fault:
                guard.ended(ticket, fault)
                raise
            guard.good(ticket)
            return reply

        return guarded

    return wrap
