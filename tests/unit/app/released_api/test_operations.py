from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from fastapi_baseline.app.released_api import find_breaks

Change = Callable[[dict[str, Any]], object]

ITEM: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "state": {"type": "string", "enum": ["a", "b"]}},
    "required": ["name"],
}
RELEASED: dict[str, Any] = {
    "openapi": "3.1.0",
    "paths": {
        "/items/{item_id}": {
            "parameters": [
                {
                    "name": "item_id",
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string", "format": "uuid"},
                }
            ],
            "get": {
                "parameters": [
                    {"name": "q", "in": "query", "schema": {"type": "string"}},
                    {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                ],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Item"}}
                        }
                    },
                    "404": {"description": "It is not there."},
                },
                "security": [{"bearer": ["read"]}],
            },
            "put": {
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Item"}}
                    }
                },
                "responses": {"204": {"description": "It is changed."}},
            },
        },
    },
    "components": {
        "schemas": {"Item": ITEM},
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "tokens": {"type": "oauth2", "flows": {}},
        },
    },
}
GET = "GET /items/{item_id}: "
PUT = "PUT /items/{item_id}: "


def path_of(document: dict[str, Any]) -> dict[str, Any]:
    return document["paths"]["/items/{item_id}"]


def get_of(document: dict[str, Any]) -> dict[str, Any]:
    return path_of(document)["get"]


def put_of(document: dict[str, Any]) -> dict[str, Any]:
    return path_of(document)["put"]


def item_of(document: dict[str, Any]) -> dict[str, Any]:
    return document["components"]["schemas"]["Item"]


def rename_path(document: dict[str, Any], name: str) -> None:
    item = document["paths"].pop("/items/{item_id}")
    item["parameters"][0]["name"] = name
    document["paths"][f"/items/{{{name}}}"] = item


def case(change: Change, *values: Any, called: str) -> Any:
    return pytest.param(change, *values, id=called)


def after(change: Change) -> list[str]:
    current = deepcopy(RELEASED)
    change(current)
    return list(find_breaks(RELEASED, current))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        case(
            lambda it: it["paths"].clear(),
            [f"{GET}it is gone.", f"{PUT}it is gone."],
            called="path",
        ),
        case(lambda it: path_of(it).pop("put"), [f"{PUT}it is gone."], called="method"),
        case(
            lambda it: get_of(it)["parameters"].pop(0),
            [f"{GET}it no longer takes the query parameter 'q'."],
            called="parameter",
        ),
        case(
            lambda it: get_of(it)["parameters"][0].update(required=True),
            [f"{GET}the query parameter 'q' is required."],
            called="parameter that is required",
        ),
        case(
            lambda it: get_of(it)["parameters"].append(
                {"name": "new", "in": "query", "required": True, "schema": {}}
            ),
            [f"{GET}the query parameter 'new' is required."],
            called="new parameter that is required",
        ),
        case(
            lambda it: path_of(it)["parameters"][0]["schema"].update(type="integer"),
            [
                f"{GET}the path parameter 'item_id' no longer takes string (uuid).",
                f"{PUT}the path parameter 'item_id' no longer takes string (uuid).",
            ],
            called="type of a parameter",
        ),
        case(
            lambda it: put_of(it).pop("requestBody"),
            [f"{PUT}it no longer takes a body."],
            called="body",
        ),
        case(
            lambda it: put_of(it)["requestBody"].update(required=True),
            [f"{PUT}a body is required."],
            called="body that is required",
        ),
        case(
            lambda it: put_of(it)["requestBody"].update(content={"text/csv": {}}),
            [f"{PUT}the body is no longer application/json."],
            called="kind of body",
        ),
        case(
            lambda it: get_of(it)["responses"].pop("200"),
            [f"{GET}it no longer answers 200."],
            called="answer",
        ),
        case(
            lambda it: get_of(it)["responses"]["200"].update(content={"text/csv": {}}),
            [f"{GET}the answer 200 is no longer application/json."],
            called="kind of answer",
        ),
        case(
            lambda it: item_of(it)["properties"].pop("name"),
            [
                f"{GET}'name' of the answer 200 is gone.",
                f"{PUT}'name' of the body is no longer taken.",
            ],
            called="field",
        ),
        case(
            lambda it: item_of(it)["required"].append("state"),
            [f"{PUT}'state' of the body is required."],
            called="field that is required",
        ),
        case(
            lambda it: item_of(it)["properties"]["state"]["enum"].pop(),
            [f"{PUT}'state' of the body no longer takes 'b'."],
            called="value",
        ),
        case(
            lambda it: put_of(it).update(security=[{"bearer": []}]),
            [f"{PUT}it is no longer open to everybody."],
            called="everybody",
        ),
        case(
            lambda it: get_of(it).update(security=[{"key": []}]),
            [f"{GET}it no longer lets in whoever has: http bearer read."],
            called="way in",
        ),
        case(
            lambda it: get_of(it).update(security=[{"bearer": ["read", "admin"]}]),
            [f"{GET}it no longer lets in whoever has: http bearer read."],
            called="scope more",
        ),
    ],
)
def test_finds_a_change_of(change: Change, said: list[str]) -> None:
    assert after(change) == said


@pytest.mark.parametrize(
    "change",
    [
        case(lambda it: it["paths"].update({"/new": {"get": {}}}), called="a new path"),
        case(lambda it: rename_path(it, "key"), called="the name of a part of a path"),
        case(lambda it: get_of(it)["responses"].pop("404"), called="an answer with an error"),
        case(
            lambda it: get_of(it)["parameters"].append({"name": "new", "in": "query"}),
            called="a parameter that may be left out",
        ),
        case(
            lambda it: get_of(it)["parameters"][1].update(name="x-trace"),
            called="the case of a header",
        ),
        case(lambda it: get_of(it).pop("security"), called="everybody is let in"),
        case(
            lambda it: get_of(it).update(security=[{"tokens": ["read"]}]),
            called="where a token comes from",
        ),
        case(lambda it: get_of(it)["security"].append({"key": []}), called="one more way in"),
        case(
            lambda it: item_of(it)["properties"].update(more={"type": "string"}),
            called="a new field",
        ),
    ],
)
def test_is_no_break(change: Change) -> None:
    assert after(change) == []
