from collections.abc import Awaitable, Callable
from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header
from starlette.responses import Response

from fastapi_baseline import Settings, create_app
from fastapi_baseline.access import public
from fastapi_baseline.errors import UnauthenticatedError
from fastapi_baseline.testing import running
from fastapi_baseline.testing.open_operations import find_open_operations, operations_of


class Colour(StrEnum):
    RED = "red"


async def refuse() -> None:
    raise UnauthenticatedError(challenge="Bearer")


async def refuse_without_challenge() -> None:
    raise UnauthenticatedError


async def refuse_in_words() -> Response:
    return Response("Go away.", status_code=401, headers={"WWW-Authenticate": "Bearer"})


Answer = Callable[..., Awaitable[None]]
GUARDED = [Depends(refuse)]


@pytest.fixture
def app() -> FastAPI:
    return create_app(Settings(environment="test"), configure_logging=False, package=None)


@pytest.fixture
def answer() -> Answer:
    """Give a function of this test's own, since it may be marked."""

    async def answer_nothing() -> None:
        return None

    return answer_nothing


async def test_finds_nothing_where_all_are_guarded_or_public(app: FastAPI, answer: Answer) -> None:
    app.get("/prices")(public(answer))
    router = APIRouter(prefix="/orders", dependencies=GUARDED)
    router.post("")(refuse)
    router.delete("/{number}")(refuse)
    app.include_router(router)

    assert await find_open_operations(app) == []


@pytest.mark.parametrize("method", ["get", "put", "post", "delete", "patch"])
async def test_finds_a_route_that_answers_anybody(
    app: FastAPI, answer: Answer, method: str
) -> None:
    getattr(app, method)("/orders")(answer)

    (found,) = await find_open_operations(app)

    assert found == f"{method.upper()} /orders: 200"


async def test_finds_the_method_that_was_forgotten(app: FastAPI) -> None:
    app.get("/orders", dependencies=GUARDED)(refuse)

    async def add_order() -> None:
        return None

    app.post("/orders")(add_order)

    assert await find_open_operations(app) == ["POST /orders: 200"]


async def test_finds_a_refusal_that_is_no_problem_or_has_no_challenge(
    app: FastAPI, answer: Answer
) -> None:
    app.get("/challenge", dependencies=[Depends(refuse_without_challenge)])(answer)
    app.get("/words")(refuse_in_words)

    assert await find_open_operations(app) == [
        "GET /challenge: 401, and no challenge",
        "GET /words: 401, and no problem",
    ]


async def test_finds_what_fails_before_it_asks(app: FastAPI, answer: Answer) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    app.get("/orders", dependencies=[Depends(fail), *GUARDED])(answer)

    assert await find_open_operations(app) == ["GET /orders: 500"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/{value}", int),
        ("/{value}", UUID),
        ("/{value}", date),
        ("/{value}", Colour),
        ("/{value}", str),
        ("/{value}", UUID | int),
        ("/{value:int}", int),
        ("/{value:uuid}", UUID),
        ("/{value:path}", str),
    ],
    ids=str,
)
async def test_asks_at_a_path_that_the_route_takes(
    path: str, kind: type[object], app: FastAPI
) -> None:
    async def show(value: object) -> str:
        return str(value)

    show.__annotations__["value"] = kind
    app.get(f"/things{path}")(show)

    assert await find_open_operations(app) == ["GET /things/{value}: 200"]


async def test_sends_what_it_is_given(app: FastAPI, answer: Answer) -> None:
    async def refuse_only_bad(authorization: Annotated[str | None, Header()] = None) -> None:
        if authorization != "Bearer good":
            raise UnauthenticatedError(challenge="Bearer")

    app.get("/orders", dependencies=[Depends(refuse_only_bad)])(answer)

    assert await find_open_operations(app, headers={"Authorization": "Bearer bad"}) == []
    assert await find_open_operations(app, headers={"Authorization": "Bearer good"}) == [
        "GET /orders: 200"
    ]


async def test_asks_an_application_that_runs_already(app: FastAPI, answer: Answer) -> None:
    app.get("/orders", dependencies=GUARDED)(answer)

    async with running(app):
        assert await find_open_operations(app) == []


def test_knows_which_operations_are_public(app: FastAPI, answer: Answer) -> None:
    app.get("/prices")(public(answer))
    app.get("/orders", dependencies=GUARDED)(refuse)

    assert {str(one): one.is_public for one in operations_of(app)} == {
        "GET /prices": True,
        "GET /orders": False,
    }
