import pytest

from fastapi_baseline.errors import ConfigurationError, MissingExtraError
from fastapi_baseline.persistence.engines.url import is_memory, parse_url


def _everything(library: str) -> bool:
    return True


def _nothing(library: str) -> bool:
    return False


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgres://h/n", "postgresql+asyncpg://h/n"),
        ("postgresql://h/n", "postgresql+asyncpg://h/n"),
        ("postgresql+asyncpg://h/n", "postgresql+asyncpg://h/n"),
        ("postgresql+psycopg://h/n", "postgresql+psycopg://h/n"),
        ("sqlite:///n.db", "sqlite+aiosqlite:///n.db"),
        ("sqlite+aiosqlite:///n.db", "sqlite+aiosqlite:///n.db"),
        ("sqlite://", "sqlite+aiosqlite://"),
    ],
)
def test_chooses_a_driver_for_asyncio(given: str, expected: str) -> None:
    assert str(parse_url(given, has=_everything)) == expected


def test_takes_psycopg_if_asyncpg_is_not_installed() -> None:
    url = parse_url("postgresql://h/n", has=lambda library: library == "psycopg")

    assert url.drivername == "postgresql+psycopg"


def test_keeps_the_rest_of_the_url() -> None:
    url = parse_url("postgres://u:p%40ss@h:5433/n?sslmode=require", has=_everything)

    assert (url.username, url.password, url.host, url.port) == ("u", "p@ss", "h", 5433)
    assert url.query == {"sslmode": "require"}
    assert "p@ss" not in str(url)


@pytest.mark.parametrize(
    ("given", "extra"),
    [
        ("postgresql://u:secret@h/n", "postgres"),
        ("postgresql+psycopg://u:secret@h/n", "psycopg"),
        ("sqlite:///secret.db", "sqlite"),
    ],
)
def test_names_the_extra_that_is_missing(given: str, extra: str) -> None:
    with pytest.raises(MissingExtraError, match=rf"fastapi-baseline\[{extra}\]") as caught:
        parse_url(given, has=_nothing)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "u:secret@h/n",
        "postgresql://u:secret@h:port/n",
        "mysql://u:secret@h/n",
        "postgresql+psycopg2://u:secret@h/n",
        "sqlite+pysqlite:///secret.db",
    ],
)
def test_refuses_other_urls_without_showing_them(given: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_url(given, has=_everything)

    error: BaseException | None = caught.value
    assert "secret" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite://", True),
        ("sqlite:///:memory:", True),
        ("sqlite:///file:x?mode=memory&uri=true", True),
        ("sqlite:///x.db", False),
        ("postgresql://h/n", False),
    ],
)
def test_knows_what_is_in_memory(url: str, *, expected: bool) -> None:
    assert is_memory(parse_url(url, has=_everything)) is expected
