import pytest
from fastapi import FastAPI

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.response_headers import response_headers


def test_describes_headers_beside_what_the_framework_says_of_a_response() -> None:
    app = FastAPI()

    @app.post("/lamps", status_code=201, responses=response_headers(201, "ETag", "Location"))
    async def add() -> int:
        raise NotImplementedError

    created = app.openapi()["paths"]["/lamps"]["post"]["responses"]["201"]
    assert created["description"] == "Successful Response"
    assert created["content"]["application/json"]["schema"]["type"] == "integer"
    assert created["headers"].keys() == {"ETag", "Location"}
    assert created["headers"]["ETag"]["required"]


def test_does_not_promise_a_link_to_other_pages() -> None:
    (described,) = response_headers(200, "Link").values()

    assert "required" not in described["headers"]["Link"]


def test_refuses_a_header_that_it_knows_nothing_of() -> None:
    with pytest.raises(ConfigurationError, match="X-Color"):
        response_headers(200, "ETag", "X-Color")
