"""How long answers are fresh, and what old ones are good for."""

from __future__ import annotations

import pytest

from app.catalog.schema_policies import Cache
from app.core.data import NULL
from app.policies.freshness import directives, is_storable, kept_for, lifetime, obey, use
from app.policies.store import Entry

WALL = 1_800_000_000.0
RESPECT = Cache.model_validate({"ttl": "30s", "respect": True})


def fields(**values: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in values.items()]


def said(**values: str) -> Entry:
    entry = Entry(NULL, 200, 1000.0)
    obey(entry, fields(**values), WALL)
    return entry


@pytest.mark.parametrize(
    ("age", "expected"),
    [(0, "fresh"), (9.9, "fresh"), (10, "revalidate"), (14.9, "revalidate"), (15, "if_error"), (39.9, "if_error"), (40, "none")],
)
def test_the_windows_begin_where_freshness_ends(age: float, expected: str) -> None:
    """Both stale windows are counted from the end of `ttl`."""
    spec = Cache.model_validate({"ttl": "10s", "stale_while_revalidate": "5s", "stale_if_error": "30s"})
    assert use(Entry(NULL, 200, 1000.0), spec, 1000.0 + age) == expected


@pytest.mark.parametrize("control", ["private", "no-store", "no-cache", "max-age=60, PRIVATE", 'no-cache="set-cookie", max-age=9', "No-Store"])
def test_what_the_upstream_forbids_is_not_stored(control: str) -> None:
    """`private`, `no-store` and `no-cache`, in any case and company."""
    assert not is_storable(fields(cache_control=control))


def test_other_answers_are_stored() -> None:
    """No header at all forbids nothing; `Vary: *` does, wherever it stands."""
    assert is_storable([])
    assert is_storable(fields(cache_control="public, max-age=0, must-revalidate", vary="accept"))
    assert is_storable(fields(vary="x-a*, *b"))
    for vary in ("*", "accept, *", "*,accept", "accept , * , cookie"):
        assert not is_storable(fields(vary=vary))
    assert not is_storable([(b"vary", b"accept"), (b"vary", b"*")])


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"cache_control": "max-age=60"}, 60),
        ({"cache_control": "max-age=60", "age": "45"}, 15),
        ({"cache_control": "max-age=60", "age": "90"}, -30),
        ({"cache_control": "s-maxage=5, max-age=60"}, 5),
        ({"cache_control": 'max-age="7"'}, 7),
        ({"cache_control": "max-age=-1"}, 0),
        ({"cache_control": "max-age=soon"}, 0),
        ({"cache_control": "max-age"}, 0),
        ({"cache_control": "s-maxage=soon, max-age=60", "expires": "Fri, 15 Jan 2027 08:01:00 GMT"}, 0),
        ({"cache_control": "public"}, 30),
        ({"expires": "Fri, 15 Jan 2027 08:01:00 GMT", "date": "Fri, 15 Jan 2027 08:00:00 GMT"}, 60),
        ({"expires": "0"}, 0),
        ({"expires": "0", "cache_control": "max-age=8"}, 8),
        ({"age": "12"}, 30),
        ({}, 30),
    ],
)
def test_the_upstream_says_how_long(headers: dict[str, str], seconds: float) -> None:
    """s-maxage, max-age, Expires, less Age; `ttl` where nothing is said; nothing where it cannot be read (RFC 9111 section 4.2.1)."""
    assert lifetime(said(**headers), RESPECT) == seconds


def test_what_was_stale_before_it_came_has_less_of_its_windows() -> None:
    """They count from the end of its freshness (RFC 5861 section 3)."""
    late = said(cache_control="max-age=10, stale-while-revalidate=20", age="15")
    assert [use(late, RESPECT, 1000.0 + seconds) for seconds in (0, 14, 16)] == ["revalidate", "revalidate", "none"]
    long_ago = said(cache_control="max-age=10, stale-while-revalidate=20", age="1000")
    assert (use(long_ago, RESPECT, 1000.0), kept_for(long_ago, RESPECT) > 0) == ("none", False)


def test_the_upstream_may_name_the_stale_windows() -> None:
    """RFC 5861; must-revalidate closes them."""
    spec = Cache.model_validate({"ttl": "1s", "stale_if_error": "1h", "respect": True})
    assert use(said(cache_control="max-age=10, stale-while-revalidate=20"), spec, 1025) == "revalidate"
    assert use(said(cache_control="max-age=10"), spec, 1025) == "if_error"
    assert use(said(cache_control="max-age=10, must-revalidate, stale-while-revalidate=20"), spec, 1025) == "none"


def test_directives_of_several_fields_belong_together() -> None:
    """One list over all Cache-Control fields, the first of a name counts."""
    found = directives([(b"cache-control", b"Max-Age=1, public"), (b"x", b"y"), (b"cache-control", b"max-age=2,, s-maxage = 3")])
    assert found["max-age"] == "1"
    assert "public" in found
