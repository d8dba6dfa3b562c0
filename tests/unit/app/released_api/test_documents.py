import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import FastAPI, Query

from fastapi_baseline.app.released_api import find_broken_promises, read_released, release
from fastapi_baseline.errors import ConfigurationError


async def answer() -> int:
    return 1


def make_app(*paths: str) -> FastAPI:
    app = FastAPI()
    for path in paths:
        app.add_api_route(path, answer)
    return app


def test_finds_nothing_in_the_api_that_was_released(tmp_path: Path) -> None:
    app = make_app("/items", "/prices")
    release(app, tmp_path / "openapi.json")

    assert list(find_broken_promises(app, tmp_path / "openapi.json")) == []


def test_finds_what_the_next_release_would_break(tmp_path: Path) -> None:
    release(make_app("/items", "/prices"), tmp_path / "openapi.json")

    (finding,) = find_broken_promises(make_app("/items"), tmp_path / "openapi.json")

    assert (finding.id, finding.what) == ("openapi_broken", "GET /prices: it is gone.")
    assert not finding.can_be_accepted


def test_writes_the_document_anew_only_if_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "docs/openapi.json"

    written = [release(make_app("/items"), path) for _ in range(2)]

    assert written == [True, False]
    assert [file.name for file in path.parent.iterdir()] == ["openapi.json"]
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert "/items" in read_released(path)["paths"]


@pytest.mark.parametrize("content", ["", "[]", "{", json.dumps({"openapi": "3.1.0"}), "\ud800"])
def test_finds_that_the_released_document_cannot_be_read(tmp_path: Path, content: str) -> None:
    path = tmp_path / "openapi.json"
    path.write_bytes(content.encode(errors="surrogatepass"))

    (finding,) = find_broken_promises(make_app(), path)

    assert finding.id == "openapi_unreadable"


def test_finds_that_there_is_no_released_document(tmp_path: Path) -> None:
    (finding,) = find_broken_promises(make_app(), tmp_path / "openapi.json")

    assert "There is no released OpenAPI document" in finding.what


def test_says_that_the_document_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "docs").touch()

    with pytest.raises(ConfigurationError, match="cannot be written"):
        release(make_app(), tmp_path / "docs/openapi.json")


def test_finds_that_the_document_cannot_be_made(tmp_path: Path) -> None:
    release(make_app("/items"), tmp_path / "openapi.json")
    app = make_app("/items")

    @app.get("/broken")
    async def answer_nothing(call: Annotated[Callable[[], int], Query()]) -> None: ...

    (finding,) = find_broken_promises(app, tmp_path / "openapi.json")

    assert finding.id == "openapi_unreadable"
