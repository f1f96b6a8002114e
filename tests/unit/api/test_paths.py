"""Which route a path leads to."""

import pytest

from app.api.paths import BadPath, Paths, path_sent

ROUTES = ("/ducks/{id}", "/ducks/me", "/{kind}/me/eggs", "/ducks/{id}/eggs", "/files/{name}.json", "/files/{name}", "/", "/caf%C3%A9", "/a/")


@pytest.fixture
def paths() -> Paths[str]:
    """Routes named by their templates, in an order that must not matter."""
    table: Paths[str] = Paths()
    for route in ROUTES:
        table.add(route, "GET", route)
    table.add("/ducks/{id}", "DELETE", "drop")
    return table


@pytest.mark.parametrize(
    ("path", "route", "values"),
    [
        (b"/ducks/me", "/ducks/me", {}),
        (b"/ducks/7", "/ducks/{id}", {"id": "7"}),
        (b"/ducks/me/eggs", "/ducks/{id}/eggs", {"id": "me"}),
        (b"/geese/me/eggs", "/{kind}/me/eggs", {"kind": "geese"}),
        (b"/files/a.json", "/files/{name}.json", {"name": "a"}),
        (b"/files/a.txt", "/files/{name}", {"name": "a.txt"}),
        (b"/", "/", {}),
        (b"/caf%c3%a9", "/caf%C3%A9", {}),
        (b"/a/", "/a/", {}),
        (b"/ducks/m%65", "/ducks/me", {}),
    ],
)
def test_literal_segments_win_over_params(paths: Paths[str], path: bytes, route: str, values: dict[str, str]) -> None:
    """Whatever the order of declaration; percent-encoding is but a spelling."""
    found = paths.find(path, "GET")
    assert (found.route, found.values) == (route, values)


@pytest.mark.parametrize("routes", [("/x-{p}", "/{p}-{q}"), ("/{p}.json", "/{parameter}{q}"), ("/%61%62{p}", "/a{p}{q}"), ("/a{p}", "/{p}{q}a")])
def test_of_segments_with_params_that_with_more_text_wins(routes: tuple[str, str]) -> None:
    """Characters as they are matched, whatever the order of declaration; of equals that with fewer params."""
    for declared in (routes, routes[::-1]):
        table: Paths[str] = Paths()
        for route in declared:
            table.add(route, "GET", route)
        fits = {"/x-{p}": b"/x-y-z", "/{p}.json": b"/a.json", "/%61%62{p}": b"/abcd", "/a{p}": b"/aba"}[routes[0]]
        assert table.find(fits, "GET").route == routes[0]


@pytest.mark.parametrize("path", [b"/ducks/me/", b"/ducks", b"/ducks//me", b"/Ducks/me", b"//", b"", b"/a", b"/ducks/", b"/nope"])
def test_another_spelling_is_another_path(paths: Paths[str], path: bytes) -> None:
    """No trailing-slash redirects, no collapsed slashes, case counts; a param is never empty."""
    found = paths.find(path, "GET")
    assert (found.route, found.methods) == (None if path != b"" else "/", frozenset())


@pytest.mark.parametrize("value", [b".", b"..", b"%2e%2e", b"%2E", b".%2e"])
def test_dot_segments_are_no_values(paths: Paths[str], value: bytes) -> None:
    """What stands on the way may resolve them, so no route takes them."""
    assert paths.find(b"/ducks/" + value, "GET").route is None


@pytest.mark.parametrize(("sent", "value"), [(b"a%2Fb%2fc", "a/b/c"), (b"%00", "\0"), (b"%C3%B1", "ñ"), (b"a%3Fb%23c", "a?b#c"), (b"%zz%", "%zz%")])
def test_an_encoded_slash_belongs_to_the_value(paths: Paths[str], sent: bytes, value: str) -> None:
    """Each segment is decoded by itself."""
    assert paths.find(b"/ducks/" + sent, "GET").values == {"id": value}


def test_bad_utf_8_is_told() -> None:
    """Not guessed at."""
    table: Paths[str] = Paths()
    with pytest.raises(BadPath):
        table.find(b"/%ff", "GET")


def test_a_method_is_looked_for_on_every_route_that_the_path_fits(paths: Paths[str]) -> None:
    """DELETE of `/ducks/me` is that of `/ducks/{id}`; for others every method is told; HEAD goes where GET does."""
    assert paths.find(b"/ducks/me", "DELETE").route == "drop"
    assert paths.find(b"/ducks/me", "PUT").methods == {"GET", "DELETE"}
    assert paths.find(b"/ducks/me", "HEAD").route == "/ducks/me"


def test_the_path_is_taken_as_sent() -> None:
    """`raw_path` where the server gives it, below the application's root."""
    assert path_sent({"raw_path": b"/a%2Fb", "path": "/a/b"}) == b"/a%2Fb"
    assert path_sent({"raw_path": b"/api/a%2Fb", "path": "/api/a/b", "root_path": "/api"}) == b"/a%2Fb"
    assert path_sent({"path": "/a b/ñ"}) == b"/a%20b/%C3%B1"
