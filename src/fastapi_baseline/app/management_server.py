"""A second port of the process, served on the event loop of the first."""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from starlette.types import ASGIApp

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError

logger = logging.getLogger(__name__)

_BACKLOG = 64


@asynccontextmanager
async def serve_beside(
    app: ASGIApp, *, host: str, port: int, is_shared: bool
) -> AsyncGenerator[None]:
    """Serve an application at an address of its own for as long as the context is open.

    If it `is_shared`, the processes of one service all open it, and whichever is asked answers.
    Signals stay with the server of the service.

    Raises:
        ConfigurationError: If the address cannot be opened.
        MissingExtraError: If the server is not installed.
    """
    with optional("uvicorn", extra="server"):
        import uvicorn  # noqa: PLC0415 -- of another extra

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Generator[None]:
            yield

    listener = _listen(host, port, is_shared=is_shared)
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = Server(config)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(sockets=[listener]))
        address, bound = listener.getsockname()[:2]
        logger.info("Management endpoints are served on http://%s:%s", address, bound)
        try:
            yield
        finally:
            server.should_exit = True


def _listen(host: str, port: int, *, is_shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        message = f"MANAGEMENT__PORT: {host}:{port} cannot be opened ({error.strerror})."
        raise ConfigurationError(message) from error
    return listener
