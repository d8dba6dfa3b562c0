"""Asks the list of items of a service everything that can be asked: `fuzz_items.py PACKAGE REQUESTS`.

It runs in the environment of a rendered service and fails if an answer is an error of the service,
or has an item that the query excludes. What is printed is how often there was which status, as JSON.
"""

import asyncio
import importlib
import json
import operator
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl

from httpx2 import AsyncClient, Response
from pydantic import SecretStr, TypeAdapter

from fastapi_baseline import create_app
from fastapi_baseline.settings import LogSettings, RateLimitSettings
from fastapi_baseline.testing import as_user, create_schema, running
from fastapi_baseline.testing.query_strings import QueryStrings

PATH = "/items"
SCOPES = ("items:read", "items:write")
ITEMS = 60
NAMES = ("Lamp", "lamp", "a%b", "a_b", "x\\y", "O'Neil")
SEED = 5
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
READ: Mapping[str, Callable[[Any], Any]] = {
    "quantity": TypeAdapter(int).validate_python,
    "created_at": TypeAdapter(datetime).validate_python,
}

Item = dict[str, Any]


async def main(package: str, requests: int) -> None:
    """Send so many requests, and judge each answer."""
    settings_class: Any = importlib.import_module(f"{package}.settings").Settings
    with TemporaryDirectory() as folder:
        settings = settings_class(
            environment="test",
            database_url=SecretStr(f"sqlite:///{Path(folder) / 'items.db'}"),
            log=LogSettings(level="ERROR"),
            rate_limits=RateLimitSettings(enabled=False),
        )
        app = create_app(settings, configure_logging=False)
        async with running(app), as_user(app, scopes=SCOPES) as client:
            await create_schema(app)
            items = await _fill(client)
            cursors = ["x"]
            values = _values(items, cursors)
            random = Random(SEED)  # noqa: S311 -- the same requests each time
            strings = QueryStrings.of(app.openapi(), PATH, random=random, values=values)
            statuses = Counter[int]()
            for _ in range(requests):
                response = await client.get(f"{PATH}?{strings.make()}")
                statuses[response.status_code] += 1
                _judge(response, items, cursors)
    print(json.dumps(statuses))  # noqa: T201 -- for the test that started it


async def _fill(client: AsyncClient) -> list[Item]:
    random = Random(SEED)  # noqa: S311 -- the same items each time
    for number in range(ITEMS):
        body = {
            "name": f"{random.choice(NAMES)} {number}",
            "quantity": random.choice((0, 1, 2, 5, 1_000_000)),
        }
        added = await client.post(PATH, json=body)
        assert added.status_code == 201, added.text
    page = (await client.get(PATH, params={"limit": 100})).json()
    assert len(page["items"]) == ITEMS
    return page["items"]


def _values(items: Sequence[Item], cursors: Sequence[str]) -> dict[str, Sequence[str]]:
    return {
        "q": ["lamp", "%", "_", "\\", "a", "'"],
        "quantity[gte]": ["0", "1", "2"],
        "quantity[lt]": ["5", "1"],
        "created_at[gte]": [items[3]["created_at"]],
        "created_at[lt]": [items[40]["created_at"]],
        "sort": ["name", "-name", "quantity,-name", "-created_at", "-quantity"],
        "limit": ["1", "5", "100"],
        "cursor": cursors,
    }


def _judge(response: Response, items: Sequence[Item], cursors: list[str]) -> None:
    query = response.request.url.query.decode()
    asked = parse_qsl(query, keep_blank_values=True)
    names = {name for name, _ in asked}
    if response.status_code != 200:
        refused = {400, 422} if "cursor" in names else {422}
        assert response.status_code in refused, (query, response.text)
        return
    page = response.json()
    found = [item["id"] for item in page["items"]]
    wanted = [item["id"] for item in items if _is_wanted(item, asked)]
    limit = int(dict(asked).get("limit", "20"))
    assert len(set(found)) == len(found) <= limit, query
    assert set(found) <= set(wanted), query
    if "cursor" not in names:
        assert len(found) == min(limit, len(wanted)), query
    if page["next"]:
        # A list that goes on growing would be drawn from ever more rarely.
        cursors[1:] = [*cursors[1:], page["next"]][-30:]


def _is_wanted(item: Item, asked: Sequence[tuple[str, str]]) -> bool:
    for name, value in asked:
        field, _, comparison = name.removesuffix("]").partition("[")
        if field in READ:
            read = READ[field]
            if not COMPARISONS[comparison](read(item[field]), read(value)):
                return False
        elif field == "q" and _folded(value) not in _folded(item["name"]):
            return False
    return True


def _folded(text: str) -> str:
    """Return a text as SQLite compares it: only ASCII letters have no case."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
