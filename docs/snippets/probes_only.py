"""The probes, without the rest."""

from datetime import timedelta

from fastapi import FastAPI

# <start>
from fastapi_baseline.health import make_health_router


class SearchIndex:
    """A system that the application needs, as a check."""

    name = "search"

    async def check(self) -> None:
        """Return if the system is well, and raise otherwise."""


app = FastAPI()
app.include_router(make_health_router([SearchIndex()], timeout=timedelta(seconds=2), details=True))
# <end>
