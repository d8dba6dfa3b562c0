"""What the tests of a service need: real servers, a clock to move, the application as a process.

The fixtures are in the pytest plugin `fastapi_baseline.testing.plugin`, which pytest finds by
itself. The names below are imported when they are first used.
"""

from typing import TYPE_CHECKING  # noqa: TID251 -- for the names that are exported lazily

from fastapi_baseline._exports import export_lazily

if TYPE_CHECKING:
    from fastapi_baseline.testing.client import LifespanFailedError, create_schema, running
    from fastapi_baseline.testing.clock import ManualClock
    from fastapi_baseline.testing.database import (
        Make,
        ModelFactory,
        apply_migrations,
        create_tables,
    )
    from fastapi_baseline.testing.issuer import OMIT, TokenIssuer
    from fastapi_baseline.testing.open_operations import find_open_operations
    from fastapi_baseline.testing.postgres import PostgresServer, postgres_server
    from fastapi_baseline.testing.principals import (
        acting_as,
        as_principal,
        as_service,
        as_user,
    )
    from fastapi_baseline.testing.queries import max_queries
    from fastapi_baseline.testing.redis import (
        RedisProcess,
        RedisServer,
        redis_process,
        redis_server,
    )
    from fastapi_baseline.testing.redis_faults import FaultProxy, fault_proxy
    from fastapi_baseline.testing.rows import add_row
    from fastapi_baseline.testing.server import (
        ServerFailedError,
        ServerProcess,
        free_port,
        server_process,
        uvicorn_server,
    )
    from fastapi_baseline.testing.signing_keys import (
        SigningKey,
        make_signing_key,
        make_symmetric_key,
        sign_token,
    )

__all__ = [
    "OMIT",
    "FaultProxy",
    "LifespanFailedError",
    "Make",
    "ManualClock",
    "ModelFactory",
    "PostgresServer",
    "RedisProcess",
    "RedisServer",
    "ServerFailedError",
    "ServerProcess",
    "SigningKey",
    "TokenIssuer",
    "acting_as",
    "add_row",
    "apply_migrations",
    "as_principal",
    "as_service",
    "as_user",
    "create_schema",
    "create_tables",
    "fault_proxy",
    "find_open_operations",
    "free_port",
    "make_signing_key",
    "make_symmetric_key",
    "max_queries",
    "postgres_server",
    "redis_process",
    "redis_server",
    "running",
    "server_process",
    "sign_token",
    "uvicorn_server",
]

_HOMES = {
    "OMIT": "issuer",
    "FaultProxy": "redis_faults",
    "LifespanFailedError": "client",
    "Make": "database",
    "ManualClock": "clock",
    "ModelFactory": "database",
    "PostgresServer": "postgres",
    "RedisProcess": "redis",
    "RedisServer": "redis",
    "ServerFailedError": "server",
    "ServerProcess": "server",
    "SigningKey": "signing_keys",
    "TokenIssuer": "issuer",
    "acting_as": "principals",
    "add_row": "rows",
    "apply_migrations": "database",
    "as_principal": "principals",
    "as_service": "principals",
    "as_user": "principals",
    "create_schema": "client",
    "create_tables": "database",
    "fault_proxy": "redis_faults",
    "find_open_operations": "open_operations",
    "free_port": "server",
    "make_signing_key": "signing_keys",
    "make_symmetric_key": "signing_keys",
    "max_queries": "queries",
    "postgres_server": "postgres",
    "redis_process": "redis",
    "redis_server": "redis",
    "running": "client",
    "server_process": "server",
    "sign_token": "signing_keys",
    "uvicorn_server": "server",
}

__getattr__, __dir__ = export_lazily(__name__, _HOMES)
