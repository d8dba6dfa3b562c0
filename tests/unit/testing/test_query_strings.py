from random import Random
from typing import Annotated, Literal
from urllib.parse import parse_qsl
from uuid import UUID

import pytest
from fastapi import FastAPI, Query
from pydantic import AwareDatetime

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.testing import running
from fastapi_baseline.testing.query_strings import QueryStrings


def _application() -> FastAPI:
    app = FastAPI()

    @app.get("/things")
    async def list_things(
        size: Annotated[int | None, Query(ge=1, le=9)] = None,
        kind: Annotated[list[Literal["a", "b"]] | None, Query()] = None,
        at: AwareDatetime | None = None,
        code: UUID | None = None,
        price: float | None = None,
        is_paid: bool = False,
    ) -> None:
        pass

    @app.get("/plain")
    async def list_plainly() -> None:
        pass

    return app


def _strings(seed: int, count: int) -> list[str]:
    random = Random(seed)  # noqa: S311 -- not for secrets
    strings = QueryStrings.of(_application().openapi(), "/things", random=random)
    return [strings.make() for _ in range(count)]


def test_makes_the_same_query_strings_again() -> None:
    assert _strings(1, 50) == _strings(1, 50) != _strings(2, 50)


def test_tries_every_parameter_and_others() -> None:
    names = {name for string in _strings(1, 500) for name, _ in parse_qsl(string)}

    assert {"size", "kind", "at", "code", "price", "is_paid", "nosuch", "__class__"} <= names


async def test_makes_query_strings_of_which_some_are_accepted_and_some_are_not() -> None:
    async with running(_application(), raise_app_exceptions=True) as client:
        responses = [await client.get(f"/things?{string}") for string in _strings(1, 300)]

    statuses = [response.status_code for response in responses]

    assert set(statuses) == {200, 422}
    assert statuses.count(200) > 100


def test_tries_the_values_that_it_is_given() -> None:
    random = Random(1)  # noqa: S311 -- not for secrets
    document = _application().openapi()

    strings = QueryStrings.of(document, "/things", random=random, values={"size": ["7777"]})

    assert any("size=7777" in strings.make() for _ in range(100))


def test_needs_parameters() -> None:
    with pytest.raises(ConfigurationError):
        QueryStrings.of(_application().openapi(), "/plain", random=Random(1))  # noqa: S311 -- likewise
