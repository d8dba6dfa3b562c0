from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.requests import HTTPConnection

from fastapi_baseline import ConfigurationError
from fastapi_baseline.auth.api_keys import ApiKeys
from fastapi_baseline.auth.api_keys.dependencies import get_api_keys
from fastapi_baseline.persistence import Database


async def test_finds_the_keys_of_the_application(tmp_path: Path) -> None:
    app = FastAPI()
    keys = app.state.api_keys = ApiKeys(Database(f"sqlite:///{tmp_path / 'keys.db'}"))

    assert await get_api_keys(HTTPConnection({"type": "http", "app": app})) is keys


async def test_says_that_there_are_none() -> None:
    with pytest.raises(ConfigurationError, match="AUTH__API_KEYS__ENABLED"):
        await get_api_keys(HTTPConnection({"type": "http", "app": FastAPI()}))
