from datetime import timedelta

import pytest
from sqlalchemy import URL, make_url

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.engines.postgres import connect_arguments
from fastapi_baseline.settings import DatabaseSettings

_SETTINGS = DatabaseSettings(
    connect_timeout=timedelta(seconds=1.5),
    statement_timeout=timedelta(seconds=10),
    lock_timeout=timedelta(milliseconds=0.5),
)


def _asyncpg(query: str) -> URL:
    return make_url(f"postgresql+asyncpg://h/n{query}")


def test_tells_asyncpg_its_limits() -> None:
    url, arguments = connect_arguments(_asyncpg(""), _SETTINGS, application_name="orders")

    assert url.query == {}
    assert arguments == {
        "timeout": 1.5,
        "command_timeout": 15,
        "server_settings": {
            "application_name": "orders",
            "statement_timeout": "10000",
            "lock_timeout": "1",
            "idle_in_transaction_session_timeout": "60000",
        },
    }


def test_tells_psycopg_its_limits() -> None:
    _, arguments = connect_arguments(
        make_url("postgresql+psycopg://h/n"), _SETTINGS, application_name="orders"
    )

    assert arguments == {
        "application_name": "orders",
        "connect_timeout": 2,
        "options": (
            "-c statement_timeout=10000 -c lock_timeout=1 "
            "-c idle_in_transaction_session_timeout=60000"
        ),
        "tcp_user_timeout": 15000,
    }


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_statements_without_a_limit_have_none_on_the_network_either(driver: str) -> None:
    unlimited = DatabaseSettings(statement_timeout=timedelta(0))
    url = make_url(f"postgresql+{driver}://h/n")

    _, arguments = connect_arguments(url, unlimited, application_name="orders")

    assert arguments.get("command_timeout") is None
    assert "tcp_user_timeout" not in arguments


def test_what_the_url_says_comes_first() -> None:
    query = "?application_name=mine&connect_timeout=9&options=-c%20work_mem%3D5MB"

    _, asyncpg = connect_arguments(_asyncpg(query), _SETTINGS, application_name="orders")
    _, psycopg = connect_arguments(
        make_url(f"postgresql+psycopg://h/n{query}&tcp_user_timeout=7"),
        _SETTINGS,
        application_name="orders",
    )

    assert asyncpg["timeout"] == 9
    assert asyncpg["server_settings"]["application_name"] == "mine"
    assert asyncpg["server_settings"]["options"] == "-c work_mem=5MB"
    assert (psycopg["application_name"], psycopg["connect_timeout"]) == ("mine", 9)
    assert psycopg["options"].endswith(" -c work_mem=5MB")
    assert "tcp_user_timeout" not in psycopg


def test_hands_tls_to_asyncpg_the_way_it_reads_it() -> None:
    url, arguments = connect_arguments(
        _asyncpg("?sslmode=verify-full&sslrootcert=/a%20b.pem&channel_binding=prefer"),
        _SETTINGS,
        application_name="orders",
    )

    assert url.query == {}
    assert arguments["dsn"] == "postgresql://?sslmode=verify-full&sslrootcert=%2Fa+b.pem"


def test_leaves_what_asyncpg_knows_in_the_url() -> None:
    url, _ = connect_arguments(
        _asyncpg("?host=/run/db&ssl=require"), _SETTINGS, application_name="orders"
    )

    assert url.query == {"host": "/run/db", "ssl": "require"}


@pytest.mark.parametrize("query", ["?channel_binding=require", "?nonsense=1"])
def test_refuses_what_asyncpg_would_leave_out(query: str) -> None:
    with pytest.raises(ConfigurationError, match=r"postgresql\+psycopg://"):
        connect_arguments(_asyncpg(query), _SETTINGS, application_name="orders")


def test_refuses_a_timeout_that_is_no_number() -> None:
    with pytest.raises(ConfigurationError, match="connect_timeout"):
        connect_arguments(_asyncpg("?connect_timeout=soon"), _SETTINGS, application_name="orders")


def test_shortens_a_name_to_what_the_server_keeps_without_breaking_a_character() -> None:
    _, arguments = connect_arguments(_asyncpg(""), _SETTINGS, application_name="a" + "ö" * 40)

    assert arguments["server_settings"]["application_name"] == "a" + "ö" * 31
