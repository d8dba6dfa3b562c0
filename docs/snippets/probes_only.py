"""The probes, without the rest."""

from fastapi import FastAPI

# <start>
from fastapi_baseline.health import HealthMonitor, make_health_router


class SearchIndex:
    """A system that the application needs, as a check."""

    name = "search"

    async def check(self) -> None:
        """Return if the system is well, and raise otherwise."""


monitor = HealthMonitor([SearchIndex()])
app = FastAPI(lifespan=monitor.lifespan)
app.include_router(make_health_router(monitor, details=True))
# <end>
