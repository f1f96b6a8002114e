"""Sample upstream: a shop with products, stock, prices, reviews and recommendations; made up, and the same every time."""

from __future__ import annotations

import random
import time
from typing import Any

from starlette.requests import Request

from app.demo.service import get, not_found, number, service

KINDS = {"mug": 12, "teapot": 39, "scarf": 28, "umbrella": 34, "notebook": 9, "lamp": 59, "backpack": 89, "puzzle": 24}
DUCKS = ("mallard", "teal", "eider", "pintail", "goosander", "shoveler", "wigeon", "smew")
PRAISE = (
    "Better than the last one.",
    "It quacks.",
    "My neighbour has two now.",
    "Arrived dry.",
    "Exactly as small as it looks.",
    "A present that was kept.",
)
CUSTOMERS = ("ada", "grace", "linus", "margaret", "alan", "barbara", "edsger", "hedy")


def product(slug: str) -> dict[str, Any]:
    """What the catalogue says of a product; a 404 if there is none."""
    duck, _, kind = slug.partition("-")
    if duck not in DUCKS or kind not in KINDS:
        raise not_found(f"product {slug[:40]}")
    dice = random.Random(slug)  # noqa: S311 - the same shop every time
    return {
        "slug": slug, "sku": f"{duck[:2]}{kind[:2]}-{dice.randint(100, 999)}".upper(), "name": f"{duck.capitalize()} {kind}", "kind": kind,
        "text": f"A {kind} with a {duck} on it, drawn from life.", "weight_g": dice.randint(90, 1900),
        "colours": dice.sample(["green", "sand", "slate", "rust", "white"], 3),
    }  # fmt: skip


def one(request: Request) -> dict[str, Any]:
    """`/products/mallard-mug`"""
    return product(request.path_params["slug"])


def search(request: Request) -> dict[str, Any]:
    """`/products?q=mug&limit=5`"""
    asked = request.query_params.get("q", "").casefold()
    found = [f"{duck}-{kind}" for kind in KINDS for duck in DUCKS if asked in f"{duck} {kind}"]
    return {"total": len(found), "items": [product(slug) for slug in found[: int(number(request, "limit", 10))]]}


def price(request: Request) -> dict[str, Any]:
    """`/prices/MAMU-123?kind=mug`: it moves a little, every few seconds."""
    base = KINDS.get(request.query_params.get("kind", ""), 20)
    dice = random.Random(f"{request.path_params['sku']} {int(time.time() / 5)}")  # noqa: S311
    return {"currency": "EUR", "amount": round(base * dice.uniform(0.82, 0.99), 2), "was": float(base)}


def stock(request: Request) -> dict[str, Any]:
    """`/stock/MAMU-123`: people buy."""
    sku = request.path_params["sku"]
    left = (sum(sku.encode()) * 7 - int(time.time() / 3)) % 40
    return {"sku": sku, "left": left, "warehouse": "pond 2", "arrives_in_days": 1 if left else 9}


def reviews(request: Request) -> dict[str, Any]:
    """`/reviews/mallard-mug?limit=3`"""
    dice = random.Random(f"{request.path_params['slug']} reviews")  # noqa: S311
    items: list[dict[str, Any]] = [
        {"by": dice.choice(CUSTOMERS), "stars": dice.choice((3, 4, 4, 5, 5, 5)), "text": dice.choice(PRAISE)} for _ in range(dice.randint(3, 9))
    ]
    average = sum(int(item["stars"]) for item in items) / len(items)
    return {"count": len(items), "average": round(average, 1), "items": items[: int(number(request, "limit", 3))]}


def customer(request: Request) -> dict[str, Any]:
    """`/customers/ada`"""
    name = request.path_params["name"]
    if name not in CUSTOMERS:
        raise not_found(f"customer {name[:40]}")
    return {"name": name, "since": 2019 + sum(name.encode()) % 7, "reviews": sum(name.encode()) % 50}


def related(request: Request) -> dict[str, Any]:
    """`/related/mallard-mug`: slugs of what others looked at."""
    slug = request.path_params["slug"]
    duck, _, kind = slug.partition("-")
    dice = random.Random(f"{slug} related")  # noqa: S311
    others = [f"{duck}-{other}" for other in KINDS if other != kind]
    return {"slugs": dice.sample(others, 3)}


app = service(
    get("/products/{slug}", one, max_age=300), get("/products", search), get("/prices/{sku}", price, max_age=1),
    get("/stock/{sku}", stock, max_age=0),
    get("/reviews/{slug}", reviews), get("/customers/{name}", customer), get("/related/{slug}", related),
)  # fmt: skip
