import asyncio
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query
from pydantic import SecretStr
from sqlalchemy import Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline import ConfigurationError, DatabaseUrl, Settings, create_app, install
from fastapi_baseline.persistence import Base, CursorQuery, Database, ReadTransaction, Transaction
from fastapi_baseline.settings import DatabaseSettings, HealthSettings
from fastapi_baseline.testing import postgres_server, running


def _settings(url: str) -> Settings:
    return Settings(
        database_url=DatabaseUrl(url),
        database=DatabaseSettings(connect_timeout=timedelta(seconds=2)),
        health=HealthSettings(details=True, timeout=timedelta(seconds=5)),
    )


async def test_is_ready_when_its_database_answers(any_database_url: str) -> None:
    app = create_app(_settings(any_database_url), configure_logging=False)

    async with running(app) as client:
        answer = await client.get("/readyz")

    assert answer.json() == {"status": "ok", "checks": {"database": "ok"}}


async def test_gives_routes_the_database_of_the_settings(any_database_url: str) -> None:
    app = create_app(_settings(any_database_url), configure_logging=False)

    @app.put("/rows")
    async def make_table(session: Transaction) -> None:
        await session.execute(text("CREATE TABLE rows_of_test (n INTEGER)"))
        await session.execute(text("INSERT INTO rows_of_test VALUES (7)"))

    @app.get("/rows")
    async def read(session: ReadTransaction) -> int | None:
        return await session.scalar(text("SELECT n FROM rows_of_test").columns(n=Integer))

    async with running(app) as client:
        await client.put("/rows")

        assert (await client.get("/rows")).json() == 7


async def test_serves_the_database_of_an_application_that_it_is_installed_into(
    any_database_url: str,
) -> None:
    app = FastAPI()
    install(app, _settings(any_database_url))

    @app.get("/one")
    async def read(session: ReadTransaction) -> int | None:
        return await session.scalar(text("SELECT 1").columns(n=Integer))

    async with running(app) as client:
        assert (await client.get("/one")).json() == 1


async def test_lives_and_is_not_ready_while_its_database_is_away() -> None:
    with ExitStack() as until_it_goes:
        server = until_it_goes.enter_context(postgres_server())
        settings = Settings(
            database_url=DatabaseUrl(server.create_database()),
            health=HealthSettings(interval=timedelta(milliseconds=50), failures_to_unready=1),
        )
        app = create_app(settings, configure_logging=False)

        @app.get("/one")
        async def read(session: ReadTransaction) -> int | None:
            return await session.scalar(text("SELECT 1").columns(n=Integer))

        async with running(app) as client:
            before = await client.get("/one")
            # In a thread: the service goes on to open connections, and the server waits for them.
            await asyncio.to_thread(until_it_goes.close)
            alive = await client.get("/livez")
            async with asyncio.timeout(30):
                # Answered from what the last check has found.
                while (ready := await client.get("/readyz")).status_code == 200:
                    pass
            away = await client.get("/one")

    assert before.json() == 1
    assert alive.status_code == 200
    assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
    assert (away.status_code, away.json()["code"]) == (503, "database_unavailable")
    assert int(away.headers["retry-after"]) > 0


def test_opens_nothing_before_the_first_request(tmp_path: Path) -> None:
    create_app(_settings(f"sqlite:///{tmp_path}/not/there.db"), configure_logging=False)


def test_refuses_a_url_that_it_cannot_use_without_repeating_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        create_app(_settings("mysql://me:hunter2@db/orders"), configure_logging=False)

    assert "mysql" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_has_no_database_unless_the_settings_name_one() -> None:
    app = create_app(Settings(), configure_logging=False)

    assert not isinstance(getattr(app.state, "database", None), Database)


class Post(Base):
    __tablename__ = "api_post"
    id: Mapped[int] = mapped_column(primary_key=True)


class PostScroll(CursorQuery[Post], sort=(Post.id,)):
    pass


def _with_cursors() -> FastAPI:
    app = FastAPI()
    router = APIRouter(prefix="/posts")

    def asked(query: Annotated[PostScroll, Query()]) -> PostScroll:
        return query

    @router.get("")
    async def scroll(query: Annotated[PostScroll, Depends(asked)]) -> int:
        return query.limit

    app.include_router(router)
    return app


def test_refuses_to_start_in_production_without_a_key_for_its_cursors(tmp_path: Path) -> None:
    settings = Settings(
        environment="production", database_url=DatabaseUrl(f"sqlite:///{tmp_path / 'x.db'}")
    )

    with pytest.raises(ConfigurationError, match="DATABASE__CURSOR_KEY"):
        install(_with_cursors(), settings)


def test_starts_in_production_without_a_key_if_nothing_goes_by_cursor(tmp_path: Path) -> None:
    settings = Settings(
        environment="production", database_url=DatabaseUrl(f"sqlite:///{tmp_path / 'x.db'}")
    )

    install(FastAPI(), settings)


def test_starts_in_production_with_a_key_for_its_cursors(tmp_path: Path) -> None:
    settings = Settings(
        environment="production",
        database_url=DatabaseUrl(f"sqlite:///{tmp_path / 'x.db'}"),
        database=DatabaseSettings(cursor_key=SecretStr("0123456789abcdef" * 2)),
    )

    install(_with_cursors(), settings)
