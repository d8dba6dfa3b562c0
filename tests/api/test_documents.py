from typing import Any

from fastapi import FastAPI

from fastapi_baseline import DatabaseUrl, Settings, create_app
from fastapi_baseline.persistence.writing.preconditions import IfMatch
from fastapi_baseline.response_headers import response_headers


def _operations(app: FastAPI) -> dict[str, dict[str, Any]]:
    @app.get("/lamp", responses=response_headers(200, "ETag"))
    async def show() -> None:
        raise NotImplementedError

    @app.patch("/lamp", responses=response_headers(200, "ETag"))
    async def change(if_match: IfMatch) -> None:
        raise NotImplementedError

    @app.get("/lamps")
    async def find() -> None:
        raise NotImplementedError

    paths = app.openapi()["paths"]
    return {
        f"{method} {path}": operation for path in paths for method, operation in paths[path].items()
    }


def _app(**settings: Any) -> FastAPI:
    return create_app(Settings(**settings), configure_logging=False)


def test_promises_a_request_id_on_every_response() -> None:
    app = _app()

    for operation in _operations(app).values():
        for response in operation["responses"].values():
            assert response["headers"]["X-Request-ID"] == {
                "$ref": "#/components/headers/X-Request-ID"
            }
    assert app.openapi()["components"]["headers"]["X-Request-ID"]["required"]


def test_describes_when_to_come_back_with_problems_only() -> None:
    responses = _operations(_app())["get /lamps"]["responses"]

    assert "Retry-After" in responses["default"]["headers"]
    assert "Retry-After" not in responses["200"]["headers"]


def test_says_that_what_has_an_entity_tag_may_be_unchanged() -> None:
    operations = _operations(_app())

    unchanged = operations["get /lamp"]["responses"]["304"]
    assert unchanged["headers"].keys() == {"ETag", "X-Request-ID"}
    assert "content" not in unchanged
    assert "304" not in operations["patch /lamp"]["responses"]
    assert "304" not in operations["get /lamps"]["responses"]


def test_says_that_a_version_must_be_named_where_there_is_a_database() -> None:
    app = _app(database_url=DatabaseUrl("sqlite://"))

    operation = _operations(app)["patch /lamp"]

    (header,) = operation["parameters"]
    assert header["required"]
    assert operation["responses"].keys() == {"200", "400", "412", "428", "default"}
    assert "X-Request-ID" in operation["responses"]["428"]["headers"]
