import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Database
from fastapi_baseline.persistence.models import ACTOR_OPTION
from fastapi_baseline.persistence.sessions.session import CURSOR_KEY
from fastapi_baseline.settings import DatabaseSettings, Environment, Settings

_SECRET = "correct horse battery staple, or so"


class LocalBase(DeclarativeBase):
    pass


def _author(context: ExecutionContext) -> str | None:
    return context.execution_options[ACTOR_OPTION]()


class Comment(LocalBase):
    __tablename__ = "comment"

    id: Mapped[int] = mapped_column(primary_key=True)
    author: Mapped[str | None] = mapped_column(default=_author)


def _configured(key: str | None) -> DatabaseSettings:
    return DatabaseSettings(cursor_key=None if key is None else SecretStr(key))


def test_signs_cursors_with_the_key_that_is_configured() -> None:
    urls = ("sqlite:///a.db", "sqlite:///b.db")

    keys = {Database(url, settings=_configured(_SECRET)).cursor_key() for url in urls}
    another = Database("sqlite:///a.db", settings=_configured(_SECRET[::-1])).cursor_key()

    assert len(keys) == 1
    assert another not in keys


@pytest.mark.parametrize("environment", ["development", "test"])
def test_derives_a_key_that_stays_for_development(environment: Environment) -> None:
    def derive(url: str) -> bytes:
        return Database(url, environment=environment).cursor_key()

    assert derive("postgresql://me:one@host/name") == derive("postgresql://me:two@host/name")
    assert derive("postgresql://me@host/name") != derive("postgresql://me@host/another")


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_needs_a_key_where_people_depend_on_it(environment: Environment) -> None:
    database = Database("sqlite://", environment=environment)

    with pytest.raises(ConfigurationError, match="DATABASE__CURSOR_KEY"):
        database.cursor_key()


def test_takes_the_environment_and_the_key_from_the_settings() -> None:
    settings = Settings(environment="production", database_url=SecretStr("sqlite://"))
    with_key = settings.model_copy(update={"database": _configured(_SECRET)})

    with pytest.raises(ConfigurationError):
        Database.from_settings(settings).cursor_key()
    key = Database.from_settings(with_key).cursor_key()

    assert key == Database("sqlite://", settings=_configured(_SECRET)).cursor_key()


@pytest.mark.parametrize("key", ["short", "x" * 31])
def test_refuses_a_key_that_is_easily_guessed(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("DATABASE__CURSOR_KEY", key)

    with pytest.raises(ConfigurationError, match="DATABASE__CURSOR_KEY") as caught:
        Settings.load()

    assert key not in str(caught.value)


def test_does_without_a_key_that_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE__CURSOR_KEY", "")
    monkeypatch.setenv("DATABASE__REPLICA_URL", "")

    settings = Settings.load()

    assert settings.database.cursor_key is None
    assert settings.database.replica_url is None


async def test_sessions_have_the_key_and_ask_for_it_late() -> None:
    database = Database("sqlite://", environment="production")

    async with database.transaction() as session, database.read_transaction() as reading:
        asked = [session.info[CURSOR_KEY], reading.info[CURSOR_KEY]]

    for key in asked:
        with pytest.raises(ConfigurationError):
            key()
    await database.dispose()


async def _authors(database: Database, *, principal: object = None) -> list[str | None]:
    token = request_context.set(RequestContext(request_id="r", principal=principal))
    await database.create_all()
    async with database.transaction() as session:
        session.add(Comment())
    request_context.reset(token)
    async with database.transaction() as session:
        session.add(Comment())
    async with database.read_transaction() as reading:
        authors = (await reading.scalars(select(Comment.author).order_by(Comment.id))).all()
    await database.dispose()
    return [*authors]


async def test_the_author_of_changes_is_who_sent_the_request() -> None:
    database = Database("sqlite://", metadata=LocalBase.metadata)

    assert await _authors(database, principal=42) == ["42", None]


async def test_nobody_is_the_author_if_nobody_is_known() -> None:
    database = Database("sqlite://", metadata=LocalBase.metadata)

    assert await _authors(database) == [None, None]


async def test_a_service_may_say_who_the_author_is() -> None:
    database = Database("sqlite://", metadata=LocalBase.metadata, actor=lambda: "importer")

    assert await _authors(database, principal=42) == ["importer", "importer"]


@pytest.mark.parametrize(
    ("url", "replica", "pools"),
    [
        ("sqlite://", None, ["database"]),
        ("sqlite:///a.db", None, ["database", "database_reader"]),
        ("postgresql://host/name", None, ["database"]),
        ("postgresql://host/name", "postgresql://copy/name", ["database", "database_reader"]),
    ],
)
def test_names_the_engines_that_have_connections_of_their_own(
    url: str, replica: str | None, pools: list[str]
) -> None:
    settings = DatabaseSettings(replica_url=None if replica is None else SecretStr(replica))
    database = Database(url, settings=settings)

    engines = database.engines

    assert list(engines) == pools
    assert engines["database"] is database.engine
    assert list(engines.values())[-1].pool is database.read_engine.pool
