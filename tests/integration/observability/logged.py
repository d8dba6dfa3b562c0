"""An application whose lines are looked at from outside of its process."""

import logging
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from fastapi_baseline.middleware import AccessLogMiddleware, RequestContextMiddleware
from fastapi_baseline.observability import configure_logging, make_loggers_router
from fastapi_baseline.settings import Settings

settings = Settings.load()
handle = configure_logging(settings.log)
logger = logging.getLogger("logged")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Log while the queue is there, before and after all requests."""
    async with handle.make_lifespan()(app):
        logger.info("Starting")
        yield
        for number in range(5000):
            # More than the thread writes before the process ends, unless it is waited for.
            logger.info("Stopping %d", number)


app = FastAPI(lifespan=lifespan)
app.include_router(make_loggers_router(handle.levels))
app.add_middleware(AccessLogMiddleware, silent_paths={"/livez"})
app.add_middleware(RequestContextMiddleware)


@app.get("/livez")
async def is_alive() -> int:
    """Return the number of the process, which is one of several."""
    return os.getpid()


@app.get("/write")
async def write(lines: int, length: int = 100) -> int:
    """Log many lines, and return how many have been lost so far."""
    for number in range(lines):
        logger.info("Line %d", number, extra={"fields": {"padding": "x" * length}})
    return handle.dropped


@app.get("/fork")
def fork() -> int:
    """Log in a copy of the process, and return its exit code."""
    logger.info("Before the copy")
    child = os.fork()
    if child == 0:
        logger.info("In the copy")
        sys.stdout.flush()
        os._exit(7)
    logger.info("In the original")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@app.get("/shop")
async def shop() -> dict[str, object]:
    """Return whether a logger writes everything, in the process that answers."""
    is_debugging = logging.getLogger("logged.shop").isEnabledFor(logging.DEBUG)
    return {"pid": os.getpid(), "debug": is_debugging}
