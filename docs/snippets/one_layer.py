"""One layer of the stack, without the rest."""

from fastapi import FastAPI

# <start>
from fastapi_baseline.middleware import RequestContextMiddleware, SecurityHeadersMiddleware
from fastapi_baseline.settings import SecurityHeadersSettings

app = FastAPI()
app.add_middleware(SecurityHeadersMiddleware, settings=SecurityHeadersSettings())
app.add_middleware(RequestContextMiddleware)  # The one that is added last is outermost.
# <end>


@app.get("/lamps")
async def list_lamps() -> list[str]:
    """Return lamps."""
    return ["blue", "red"]
