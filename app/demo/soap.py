"""Sample upstream: systems from before JSON. A SOAP order service, exchange rates as XML, a price list as CSV."""

from __future__ import annotations

import random
import re
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.demo.service import not_found, service

CURRENCIES = {"USD": 1.09, "GBP": 0.84, "JPY": 163.2, "CHF": 0.95, "SEK": 11.4, "CAD": 1.48}
_ORDER = re.compile(r"<(?:\w+:)?OrderNumber>(\d{1,9})</")


async def orders(request: Request) -> Response:
    """`POST /soap/orders`: SOAP 1.1; the order's number in the body, a fault with status 500 for one that there is not."""
    found = _ORDER.search((await request.body()).decode("utf-8", "replace"))
    if found is None or not 1000 <= int(found[1]) < 2000:
        fault = "<soap:Fault><faultcode>soap:Client</faultcode><faultstring>no such order</faultstring></soap:Fault>"
        return envelope(fault, 500)
    dice = random.Random(found[1])  # noqa: S311 - the same orders every time
    lines = "".join(
        f'<o:Line sku="D-{dice.randint(10, 99)}"><o:Text>{escape(text)}</o:Text><o:Quantity>{dice.randint(1, 9)}</o:Quantity></o:Line>'
        for text in dice.sample(["Reeds & rushes", "Duckweed", "Bread (stale)", "Nest box", "Decoy"], 3)
    )
    state = dice.choice(("packed", "on its way", "delivered"))
    return envelope(f'<o:Order xmlns:o="urn:pond:orders"><o:Number>{found[1]}</o:Number><o:State>{state}</o:State>{lines}</o:Order>')


def envelope(content: str, status: int = 200) -> Response:
    """A SOAP 1.1 envelope."""
    xml = (
        f'<?xml version="1.0"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>{content}</soap:Body></soap:Envelope>'
    )
    return Response(xml, status, media_type="text/xml")


async def rates(_request: Request) -> Response:
    """`/rates.xml`: euros into other currencies, as a central bank publishes them."""
    cubes = "".join(f'<Cube currency="{name}" rate="{rate}"/>' for name, rate in CURRENCIES.items())
    return Response(f'<?xml version="1.0"?><Envelope><Cube time="2026-11-20">{cubes}</Cube></Envelope>', media_type="application/xml")


async def prices(request: Request) -> Response:
    """`/prices/pond.csv`"""
    if request.path_params["name"] != "pond":
        raise not_found("price list")
    return Response("sku,text,price\nD-10,Duckweed,2.50\nD-11,Reeds,4.10\nD-12,Nest box,39.00\n", media_type="text/csv")


app = service(Route("/soap/orders", orders, methods=["POST"]), Route("/rates.xml", rates), Route("/prices/{name}.csv", prices))
