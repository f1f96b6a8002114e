"""The names that an expression can see: params, body, the calls, item, claims, request."""

from __future__ import annotations

from typing import Any

from app.core.data import Data


class Scope(dict[str, Any]):
    """A flat namespace of JSON values. A `Data` in it is decoded the moment an expression asks for its name, not before."""

    __slots__ = ()

    def get(self, name: str, default: Any = None) -> Any:
        """The decoded value of a name, or the default."""
        value = super().get(name, default)
        return value.value if type(value) is Data else value

    def raw(self, name: str) -> bytes | None:
        """The JSON text of a name that holds `Data`, without decoding it; None for any other."""
        value = super().get(name)
        return value.raw if type(value) is Data else None

    def inner(self, **names: Any) -> Scope:
        """This scope with more names, as `item` in `each`."""
        return Scope({**self, **names})
