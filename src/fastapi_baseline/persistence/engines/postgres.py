"""How connections to PostgreSQL are opened: timeouts, names and TLS, for each driver."""

import math
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import URL

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings import DatabaseSettings

_MAX_NAME_BYTES = 63
_LIBPQ_MIN_CONNECT_TIMEOUT = 2
# The server ends a statement first; this is for a server that does not answer at all.
_NETWORK_MARGIN = timedelta(seconds=5)

# What asyncpg reads from a DSN only; libpq's names.
_ASYNCPG_TLS = (
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslcrl",
    "sslpassword",
    "sslnegotiation",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
)
_ASYNCPG_ARGUMENTS = {
    "gsslib",
    "host",
    "krbsrvname",
    "passfile",
    "port",
    "prepared_statement_cache_size",
    "ssl",
    "target_session_attrs",
}


def connect_arguments(
    url: URL, settings: DatabaseSettings, *, application_name: str
) -> tuple[URL, dict[str, Any]]:
    """Return the URL without what its driver cannot read there, and arguments that say it.

    Raises:
        ConfigurationError: If the URL has a parameter that asyncpg does not know: leaving it out
            could make the connection less safe than it says.
    """
    session = {
        "statement_timeout": _milliseconds(settings.statement_timeout),
        "lock_timeout": _milliseconds(settings.lock_timeout),
        "idle_in_transaction_session_timeout": _milliseconds(settings.idle_in_transaction_timeout),
    }
    name = application_name.encode()[:_MAX_NAME_BYTES].decode(errors="ignore")
    if url.get_driver_name() == "asyncpg":
        return _for_asyncpg(url, settings, {"application_name": name, **session})
    return _for_psycopg(url, settings, session, application_name=name)


def _for_asyncpg(
    url: URL, settings: DatabaseSettings, session: dict[str, str]
) -> tuple[URL, dict[str, Any]]:
    query = dict(url.query)
    arguments: dict[str, Any] = {
        "timeout": _seconds(query.pop("connect_timeout", None), settings.connect_timeout),
        "command_timeout": _network_timeout(settings),
        "server_settings": session,
    }
    for key in ("application_name", "options"):
        if key in query:
            session[key] = str(query.pop(key))
    tls = {key: str(query.pop(key)) for key in _ASYNCPG_TLS if key in query}
    if tls:
        arguments["dsn"] = f"postgresql://?{urlencode(tls)}"
    if query.get("channel_binding") in {"disable", "prefer"}:
        del query["channel_binding"]
    unknown = sorted(query.keys() - _ASYNCPG_ARGUMENTS)
    if unknown:
        message = (
            f"The database URL has parameters that asyncpg does not know: {', '.join(unknown)}. "
            f"Leave them out, or use psycopg: postgresql+psycopg://"
        )
        raise ConfigurationError(message)
    return url.set(query=query), arguments


def _for_psycopg(
    url: URL, settings: DatabaseSettings, session: dict[str, str], *, application_name: str
) -> tuple[URL, dict[str, Any]]:
    query = dict(url.query)
    options = [f"-c {name}={value}" for name, value in session.items()]
    if "options" in query:
        options.append(str(query.pop("options")))
    timeout = _seconds(query.pop("connect_timeout", None), settings.connect_timeout)
    arguments: dict[str, Any] = {
        "application_name": query.pop("application_name", application_name),
        "connect_timeout": max(_LIBPQ_MIN_CONNECT_TIMEOUT, math.ceil(timeout)),
        "options": " ".join(options),
    }
    network_timeout = _network_timeout(settings)
    if network_timeout is not None and "tcp_user_timeout" not in query:
        arguments["tcp_user_timeout"] = math.ceil(network_timeout * 1000)
    return url.set(query=query), arguments


def _network_timeout(settings: DatabaseSettings) -> float | None:
    if not settings.statement_timeout:
        return None
    return (settings.statement_timeout + _NETWORK_MARGIN).total_seconds()


def _seconds(given: str | tuple[str, ...] | None, default: timedelta) -> float:
    if given is None:
        return default.total_seconds()
    try:
        return float(str(given))
    except ValueError:
        message = "The parameter connect_timeout of the database URL is not a number of seconds."
        raise ConfigurationError(message) from None


def _milliseconds(duration: timedelta) -> str:
    return str(math.ceil(duration.total_seconds() * 1000))
