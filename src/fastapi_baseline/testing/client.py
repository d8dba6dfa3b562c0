"""An application that runs inside the test, and a client for it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError

with optional("httpx2", extra="testing"):
    from httpx2 import ASGITransport, AsyncClient

_FINISH = timedelta(seconds=5)


class LifespanFailedError(Exception):
    """The application did not start or stop; the message is what it said."""


@asynccontextmanager
async def running(
    app: ASGIApp, *, base_url: str = "http://testserver", raise_app_exceptions: bool = False
) -> AsyncGenerator[AsyncClient]:
    """Start an application, give a client for it, and stop it afterwards.

    Requests do not go over the network. An exception that leaves the application is answered with
    500, as a server does; `raise_app_exceptions` lets it through to the test.

    Raises:
        LifespanFailedError: If the application fails to start or to stop.
    """
    lifespan = _Lifespan(app)
    await lifespan.start()
    _RUNNING.setdefault(id(app), []).append(lifespan)
    try:
        transport = ASGITransport(
            app=lifespan.with_state, raise_app_exceptions=raise_app_exceptions
        )
        async with AsyncClient(transport=transport, base_url=base_url) as client:
            yield client
    finally:
        _forget(app, lifespan)
        await lifespan.stop()


@asynccontextmanager
async def client_of(
    app: ASGIApp, *, base_url: str = "http://testserver"
) -> AsyncGenerator[AsyncClient]:
    """Give one more client for an application that is in `running`; any other is started for it.

    Raises:
        LifespanFailedError: If the application has to be started, and fails.
    """
    lifespans = _RUNNING.get(id(app))
    if lifespans is None:
        async with running(app, base_url=base_url) as client:
            yield client
        return
    transport = ASGITransport(app=lifespans[-1].with_state, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url=base_url) as client:
        yield client


async def create_schema(app: FastAPI) -> None:
    """Create the tables of the models in the database of an application.

    Faster than migrations, and no test of them.

    Raises:
        ConfigurationError: If the application has no database.
    """
    database = getattr(app.state, "database", None)
    if database is None:
        raise ConfigurationError("The application has no database: set DATABASE_URL.")
    await database.create_all()


class _Lifespan:
    """The server's side of the ASGI lifespan protocol."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._state: dict[str, Any] = {}
        self._to_app = asyncio.Queue[Message]()
        self._from_app = asyncio.Queue[Message]()
        self._error: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        # A task group would have to be left by the task that entered it, and the two halves of an
        # async fixture are two tasks.
        self._task = asyncio.create_task(self._run())  # noqa: TID251 - _finish() awaits it.
        await self._exchange("lifespan.startup")

    async def stop(self) -> None:
        await self._exchange("lifespan.shutdown")
        await self._finish()

    async def with_state(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request with what the lifespan has put into the state."""
        await self._app({**scope, "state": self._state.copy()}, receive, send)

    async def _run(self) -> None:
        scope: Scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._app(scope, self._to_app.get, self._from_app.put)
        except Exception as error:  # noqa: BLE001 - _exchange() raises it.
            self._error = error
        finally:
            self._from_app.put_nowait({"type": "ended"})

    async def _exchange(self, event: str) -> None:
        self._to_app.put_nowait({"type": event})
        answer = await self._from_app.get()
        if answer["type"] == f"{event}.complete":
            return
        await self._finish()
        reason = repr(self._error or answer.get("message") or "it ended without an answer")
        raise LifespanFailedError(f"{event}: {reason}") from self._error

    async def _finish(self) -> None:
        """Wait until the application has left its lifespan; one that does not is cancelled."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_FINISH.total_seconds())
            self._task.cancel()
            await asyncio.wait({self._task})


_RUNNING: dict[int, list[_Lifespan]] = {}
"""The lifespans of the applications that are running, by the identity of the application."""


def _forget(app: ASGIApp, lifespan: _Lifespan) -> None:
    lifespans = _RUNNING[id(app)]
    lifespans.remove(lifespan)
    if not lifespans:
        del _RUNNING[id(app)]
