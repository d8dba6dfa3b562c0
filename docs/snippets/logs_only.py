"""Lines of JSON, without the rest."""

import logging

from fastapi import FastAPI

# <start>
from fastapi_baseline.middleware import AccessLogMiddleware, RequestContextMiddleware
from fastapi_baseline.observability import configure_logging
from fastapi_baseline.settings import LogSettings

logs = configure_logging(LogSettings(level="INFO", format="json"))
logger = logging.getLogger(__name__)

app = FastAPI(lifespan=logs.make_lifespan())
app.add_middleware(AccessLogMiddleware)
app.add_middleware(RequestContextMiddleware)


@app.get("/lamps")
async def list_lamps() -> list[str]:
    """Return lamps."""
    logger.info("Listed", extra={"fields": {"lamps": 2}})
    return ["blue", "red"]


# <end>
