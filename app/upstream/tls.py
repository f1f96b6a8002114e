"""TLS towards upstreams: verified always, TLS 1.2 at least, a private CA and a client certificate where an upstream declares them."""

from __future__ import annotations

import ssl

import certifi

from app.catalog.schema import Tls


def context(tls: Tls | None = None, *, with_certificate: bool = True) -> ssl.SSLContext:
    """What upstreams are verified with; made once per upstream, at start (it reads files).

    A declared `ca` is trusted instead of the public ones. OSError or ssl.SSLError if a file cannot be used.
    """
    ca = tls.ca if tls else None
    made = ssl.create_default_context(cafile=ca)
    if ca is None:
        made.load_verify_locations(certifi.where())  # images without the system's CA files are common
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT  # on by default since 3.13, and many a private CA does not live up to it
    made.set_alpn_protocols(["http/1.1"])
    if tls and tls.cert and with_certificate:
        made.load_cert_chain(tls.cert, tls.key)
    return made
