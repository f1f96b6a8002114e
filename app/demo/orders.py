"""A blocking client of the SOAP service, as one finds them in old code bases: urllib, one request at a time. Run it in a thread."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

import xmltodict

TIMEOUT = 2.0
"""Seconds. Work in a thread cannot be cancelled: it must end by itself."""
_REQUEST = (
    '<?xml version="1.0"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
    '<GetOrder xmlns="urn:pond:orders"><OrderNumber>{number:d}</OrderNumber></GetOrder></soap:Body></soap:Envelope>'
)


def order(url: str, number: int) -> dict[str, Any] | None:
    """The order of this number: `{number, state, lines: [{sku, text, quantity}]}`; None if there is none."""
    headers = {"content-type": "text/xml", "soapaction": "urn:pond:orders#Get"}
    request = urllib.request.Request(f"{url}/soap/orders", _REQUEST.format(number=number).encode(), headers)  # noqa: S310 - the catalog's URL
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
            found = xmltodict.parse(response.read())["soap:Envelope"]["soap:Body"]["o:Order"]
    except urllib.error.HTTPError as fault:
        if fault.code == 500:  # SOAP 1.1 sends its faults so
            return None
        raise
    lines = [{"sku": line["@sku"], "text": line["o:Text"], "quantity": int(line["o:Quantity"])} for line in found["o:Line"]]
    return {"number": int(found["o:Number"]), "state": found["o:State"], "lines": lines}
