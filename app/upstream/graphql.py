"""GraphQL over HTTP: the body of a request, and the data of an answer."""

from __future__ import annotations

from typing import Any

import msgspec

from app.core.data import Data, encode
from app.core.errors import DecodeFailed, ExpressionFailed, GraphqlFailed


class _Answer(msgspec.Struct):
    """The two members that count (GraphQL specification, October 2021, section 7.1); left as bytes."""

    data: msgspec.Raw = msgspec.Raw()
    errors: msgspec.Raw = msgspec.Raw()


_decoder = msgspec.json.Decoder(_Answer)
_NO_ERRORS = (b"", b"null", b"[]")


def graphql_body(query: str, variables: Any) -> bytes:
    """The JSON body that asks `query`, a text that is no template, with these variables. ExpressionFailed where they are no JSON."""
    try:
        return encode({"query": query, "variables": variables} if variables else {"query": query})
    except (ValueError, TypeError, RecursionError) as exc:  # a lone surrogate of a credential's claims, mostly
        raise ExpressionFailed("a value that is no JSON") from exc


def graphql_data(data: Data, http_status: int = 200) -> Data:
    """The `data` of an answer, not decoded. Raises GraphqlFailed for any `errors`, DecodeFailed where it is no GraphQL answer."""
    try:
        answer = _decoder.decode(data.raw)
    except msgspec.ValidationError as exc:
        raise DecodeFailed("no GraphQL answer", http_status=http_status) from exc
    if (errors := bytes(answer.errors)) not in _NO_ERRORS and b"".join(errors.split()) != b"[]":
        raise GraphqlFailed(http_status)
    if not bytes(answer.data):
        raise DecodeFailed("no GraphQL answer", http_status=http_status)
    return Data.of_raw(bytes(answer.data))
