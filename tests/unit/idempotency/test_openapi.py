from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI

from fastapi_baseline.errors import NotFoundError
from fastapi_baseline.idempotency import (
    Idempotent,
    OptionalIdempotencyKey,
    document_idempotency,
)
from fastapi_baseline.problems import MEDIA_TYPE, problem_responses

router = APIRouter(dependencies=[Depends(Idempotent())])


@router.post("/required", status_code=201, responses=problem_responses(NotFoundError))
async def required() -> None: ...


@router.get("/required")
async def safe() -> None: ...


@pytest.fixture
def paths() -> dict[str, Any]:
    app = FastAPI()
    app.include_router(router)

    @app.post("/optional", responses={409: {"description": "Mine"}})
    async def optional(key: OptionalIdempotencyKey) -> None: ...

    @app.post("/plain")
    async def plain(body: int) -> None: ...

    document = app.openapi()
    document_idempotency(document)
    document_idempotency(document)
    return document["paths"]


def codes(response: dict[str, Any]) -> list[str]:
    return sorted(response["content"][MEDIA_TYPE]["examples"])


def test_the_header_is_required(paths: dict[str, Any]) -> None:
    (parameter,) = paths["/required"]["post"]["parameters"]

    assert (parameter["name"], parameter["in"], parameter["required"]) == (
        "Idempotency-Key",
        "header",
        True,
    )
    assert parameter["schema"]["type"] == "string"


def test_the_header_may_be_optional(paths: dict[str, Any]) -> None:
    (parameter,) = paths["/optional"]["post"]["parameters"]

    assert parameter["required"] is False
    assert "is a new one" in parameter["description"]


def test_what_may_go_wrong_is_told(paths: dict[str, Any]) -> None:
    responses = paths["/required"]["post"]["responses"]

    assert codes(responses["400"]) == ["idempotency_key_missing", "invalid_idempotency_key"]
    assert codes(responses["409"]) == ["request_in_flight", "response_not_kept"]
    assert codes(responses["422"]) == ["idempotency_key_reused"]
    assert codes(responses["404"]) == ["not_found"]


def test_what_an_operation_says_itself_stays(paths: dict[str, Any]) -> None:
    responses = paths["/optional"]["post"]["responses"]

    assert responses["409"]["description"] == "Mine"
    assert codes(responses["400"]) == ["invalid_idempotency_key"]


def test_a_response_may_be_marked_as_repeated(paths: dict[str, Any]) -> None:
    responses = paths["/required"]["post"]["responses"]

    assert "Idempotency-Replayed" in responses["201"]["headers"]


def test_safe_methods_do_not_mention_it(paths: dict[str, Any]) -> None:
    operation = paths["/required"]["get"]

    assert operation.get("parameters", []) == []
    assert "409" not in operation["responses"]


def test_other_operations_stay_as_they_are(paths: dict[str, Any]) -> None:
    assert set(paths["/plain"]["post"]["responses"]) == {"200", "422"}
