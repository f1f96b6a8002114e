"""GraphQL: what is asked, and what an answer means."""

from __future__ import annotations

import json

import pytest

from app.core.data import Data
from app.core.errors import DecodeFailed, ExpressionFailed, GraphqlFailed
from app.upstream.graphql import graphql_body, graphql_data


def test_a_request_is_query_and_variables() -> None:
    """No variables, no member."""
    assert json.loads(graphql_body("{ one }", {"k": [1]})) == {"query": "{ one }", "variables": {"k": [1]}}
    assert json.loads(graphql_body("{ one }", {})) == {"query": "{ one }"}


@pytest.mark.parametrize("value", ["\ud800", float("nan"), object()])
def test_variables_that_are_no_json_fail_the_call(value: object) -> None:
    """With `expression`, as in any other body."""
    with pytest.raises(ExpressionFailed):
        graphql_body("{ one }", {"k": value, "big": 10**30})


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": {"n": 1.00}}',
        b'{"errors": [], "data": {"n": 1.00}}',
        b'{"errors": [ ], "data": {"n": 1.00}}',
        b'{"data": {"n": 1.00}, "errors": null, "extensions": {}}',
    ],
)
def test_the_data_passes_as_sent(body: bytes) -> None:
    """It is not decoded."""
    assert graphql_data(Data.of_raw(body)).raw == b'{"n": 1.00}'


def test_a_null_is_data() -> None:
    """Where there are no errors."""
    assert graphql_data(Data.of_raw(b'{"data": null}')).is_null


@pytest.mark.parametrize("body", [b'{"errors": [{"message": "secret"}]}', b'{"data": {"a": 1}, "errors": [{}]}', b'{"errors": "no"}'])
def test_any_errors_fail_without_a_retry(body: bytes) -> None:
    """Of type `status`, no fault of the upstream's health, and its words stay inside."""
    with pytest.raises(GraphqlFailed) as failure:
        graphql_data(Data.of_raw(body), 200)
    assert (failure.value.type, failure.value.retryable, failure.value.blames_upstream) == ("status", False, False)
    assert "secret" not in failure.value.detail


@pytest.mark.parametrize("body", [b"[]", b"1", b"{}", b'"x"'])
def test_what_is_no_graphql_answer_is_decode(body: bytes) -> None:
    """Neither data nor errors."""
    with pytest.raises(DecodeFailed):
        graphql_data(Data.of_raw(body))
