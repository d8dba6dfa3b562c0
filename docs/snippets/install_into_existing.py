"""An application that exists, and what one call adds to it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from fastapi_baseline import Settings, install


class OutOfStock(Exception):  # noqa: N818 - named before the library came
    """What the application raises."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Start and stop what the application has."""
    app.state.warm = True
    yield
    app.state.warm = False


existing = FastAPI(title="Shop", lifespan=lifespan)


@existing.exception_handler(OutOfStock)
async def say_out_of_stock(request: Request, error: Exception) -> JSONResponse:
    """Answer in the application's own way."""
    return JSONResponse({"error": "out of stock"}, status_code=410)


@existing.get("/lamps")
async def list_lamps() -> list[str]:
    """Return lamps."""
    return ["blue", "red"]


@existing.get("/lamps/{name}")
async def get_lamp(name: str) -> str:
    """Return a lamp."""
    if name == "green":
        raise OutOfStock
    return name


# <start>
settings = Settings(service_name="shop", cors_origins=("https://shop.example",))
app = install(existing, settings)
# <end>
