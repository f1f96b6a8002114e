"""Sample upstream: people with projects, followers and events, in the manner of a code host; made up. REST, and GraphQL for the statistics."""

from __future__ import annotations

import random
import time
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.demo.service import Json, get, not_found, number, service

PEOPLE = {
    "ada": "Ada Lovelace", "grace": "Grace Hopper", "linus": "Linus Torvalds", "margaret": "Margaret Hamilton",
    "alan": "Alan Turing", "barbara": "Barbara Liskov", "edsger": "Edsger Dijkstra", "hedy": "Hedy Lamarr",
}  # fmt: skip
PROJECTS = ("analytical-engine", "compiler", "kernel", "guidance", "bombe", "clu", "semaphores", "frequency-hopping", "quine", "duck-typing")
LANGUAGES = ("Python", "Rust", "C", "Haskell", "Ada", "COBOL")
KINDS = ("pushed to", "opened an issue in", "starred", "reviewed", "released")


def person(request: Request) -> dict[str, Any]:
    """`/users/ada`"""
    login = known(request.path_params["login"])
    return {"login": login, "name": PEOPLE[login], "followers": sum(login.encode()) * 13 % 4000, "joined": 2008 + sum(login.encode()) % 12}


def projects(request: Request) -> list[dict[str, Any]]:
    """`/users/ada/repos`: names alone; facts are one request each."""
    dice = random.Random(known(request.path_params["login"]))  # noqa: S311 - the same people every time
    return [{"name": name} for name in dice.sample(PROJECTS, dice.randint(3, 6))]


def project(request: Request) -> dict[str, Any]:
    """`/repos/ada/compiler`"""
    name = request.path_params["name"]
    if name not in PROJECTS:
        raise not_found(f"project {name[:40]}")
    dice = random.Random(f"{known(request.path_params['login'])} {name}")  # noqa: S311
    stars = dice.randint(3, 30_000) + int(time.time() / 7) % 50
    return {"name": name, "stars": stars, "language": dice.choice(LANGUAGES), "open_issues": dice.randint(0, 400)}


def events(request: Request) -> list[dict[str, Any]]:
    """`/users/ada/events?limit=5`: newest first, a new one every few seconds."""
    login, now = known(request.path_params["login"]), int(time.time() / 4)
    limit = int(number(request, "limit", 5))
    dice = [random.Random(f"{login} {now - back}") for back in range(limit)]  # noqa: S311
    return [{"id": now - back, "what": f"{one.choice(KINDS)} {one.choice(PROJECTS)}"} for back, one in enumerate(dice)]


async def graphql(request: Request) -> Response:
    """`POST /graphql`: the statistics of a person, for any query with a variable `login`."""
    asked = orjson.loads(await request.body())
    login = asked.get("variables", {}).get("login")
    if login not in PEOPLE:
        return Json({"data": None, "errors": [{"message": "no such person"}]})
    dice = random.Random(f"{login} year")  # noqa: S311
    return Json(
        {
            "data": {
                "user": {"contributions": dice.randint(100, 3000), "streak": dice.randint(0, 90), "busiestDay": dice.choice(("Tue", "Wed", "Sun"))}
            }
        }
    )


def known(login: str) -> str:
    """The login itself, or a 404."""
    if login not in PEOPLE:
        raise not_found(f"person {login[:40]}")
    return login


app = service(
    get("/users/{login}", person), get("/users/{login}/repos", projects), get("/repos/{login}/{name}", project, max_age=5),
    get("/users/{login}/events", events, max_age=0), Route("/graphql", graphql, methods=["POST"]),
)  # fmt: skip
