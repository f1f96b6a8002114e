"""Whose address a request has."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.address import client_address

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
XFF, FORWARDED = "x-forwarded-for", "forwarded"

CASES = {
    "nobody-trusted-spoofs": ("9.9.9.9", [(XFF, "1.1.1.1")], "9.9.9.9"),
    "a-proxy-reports": ("10.0.0.1", [(XFF, "1.1.1.1")], "1.1.1.1"),
    "the-client-lied-to-the-proxy": ("10.0.0.1", [(XFF, "7.7.7.7, 1.1.1.1")], "1.1.1.1"),
    "two-proxies": ("10.0.0.1", [(XFF, "7.7.7.7, 1.1.1.1, 10.0.0.2")], "1.1.1.1"),
    "several-lines-are-one-list": ("10.0.0.1", [(XFF, "7.7.7.7"), (XFF, "1.1.1.1"), (XFF, "10.0.0.2")], "1.1.1.1"),
    "only-proxies": ("10.0.0.1", [(XFF, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
    "nothing-said": ("10.0.0.1", [], "10.0.0.1"),
    "empty": ("10.0.0.1", [(XFF, "")], "10.0.0.1"),
    "unreadable-ends-the-chain": ("10.0.0.1", [(XFF, "1.1.1.1, unknown, 10.0.0.2")], "10.0.0.2"),
    "port": ("10.0.0.1", [(XFF, "1.1.1.1:443")], "1.1.1.1"),
    "ipv6": ("fd00::1", [(XFF, "2001:db8::7")], "2001:db8::7"),
    "ipv6-port": ("fd00::1", [(XFF, "[2001:db8::7]:443")], "2001:db8::7"),
    "mapped": ("::ffff:10.0.0.1", [(XFF, "::ffff:1.1.1.1")], "1.1.1.1"),
    "forwarded": ("10.0.0.1", [(FORWARDED, 'for=7.7.7.7, for=1.1.1.1;proto=https, for="10.0.0.2:80"')], "1.1.1.1"),
    "forwarded-ipv6": ("10.0.0.1", [(FORWARDED, 'proto=http;for="[2001:db8::7]:80"')], "2001:db8::7"),
    "forwarded-hidden": ("10.0.0.1", [(FORWARDED, "for=_hidden")], "10.0.0.1"),
    "x-forwarded-for-first": ("10.0.0.1", [(FORWARDED, "for=2.2.2.2"), (XFF, "1.1.1.1")], "1.1.1.1"),
    "real-ip-is-not-read": ("10.0.0.1", [("x-real-ip", "1.1.1.1")], "10.0.0.1"),
    "no-peer": ("", [(XFF, "1.1.1.1")], ""),
}


@pytest.mark.parametrize("case", CASES)
def test_the_client_is_the_rightmost_that_is_no_trusted_proxy(case: str) -> None:
    """Trust goes from the socket backwards and ends with the first stranger."""
    peer, headers, expected = CASES[case]
    assert client_address(peer, headers, TRUSTED) == expected


def test_without_trusted_proxies_no_header_counts() -> None:
    """The default: the socket's address, whatever anybody says."""
    assert client_address("10.0.0.1", [(XFF, "1.1.1.1"), (FORWARDED, "for=1.1.1.1")], []) == "10.0.0.1"


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_header_is_an_error(listed: str, forwarded: str) -> None:
    """Whatever a header holds, an address comes out."""
    assert client_address("10.0.0.1", [(XFF, listed)], TRUSTED)
    assert client_address("10.0.0.1", [(FORWARDED, forwarded)], TRUSTED)
