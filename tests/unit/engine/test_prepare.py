"""What a call's key says of its upstream: processes with different catalogs may share one store."""

from __future__ import annotations

from typing import Any

import pytest

from app.catalog.schema import Upstream
from app.engine.prepare import source_of

PLAIN: dict[str, Any] = {"url": "http://a.test"}


@pytest.mark.parametrize(
    "other",
    [{"url": "http://b.test"}, {"urls": ["http://a.test", "http://b.test"]}, {"python": "ledger:lookup"}, {**PLAIN, "auth": {"bearer": "one"}}],
    ids=str,
)
def test_another_address_or_credential_is_another_source(other: dict[str, Any]) -> None:
    """The same name in another catalog is not the same upstream."""
    assert source_of(Upstream.model_validate(other)) != source_of(Upstream.model_validate(PLAIN))


def test_another_secret_is_another_source() -> None:
    """What one credential was shown is not for another; the secret itself is not in the key."""
    one, other = (source_of(Upstream.model_validate({**PLAIN, "auth": {"bearer": secret}})) for secret in ("one-secret", "other-secret"))
    assert one != other
    assert "secret" not in one + other


def test_policies_make_no_other_source() -> None:
    """How we ask changes nothing about who answers: a new timeout keeps the cache."""
    assert source_of(Upstream.model_validate({**PLAIN, "timeout": "1s"})) == source_of(Upstream.model_validate(PLAIN))
