"""An application whose requests come through what lies outside of the framework."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send


class Service(FastAPI):
    """A FastAPI application with layers outside of the framework's own telemetry.

    Telemetry runs before all middleware, so what corrects the address and the scheme of a request
    must run before it: `entry` wraps the whole application.
    """

    def __init__(self, *, entry: Callable[[ASGIApp], ASGIApp], **options: Any) -> None:
        """Wrap the application by `entry`; `options` go to `FastAPI`."""
        super().__init__(**options)
        self._entry = entry(super().__call__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or serve one connection."""
        await self._entry(scope, receive, send)
