"""Errors as problem details, without the rest."""

from fastapi import FastAPI

# <start>
from fastapi_baseline.errors import NotFoundError
from fastapi_baseline.middleware import make_exception_handlers

app = FastAPI()
for kind, handler in make_exception_handlers(validation_status=422).items():
    app.add_exception_handler(kind, handler)


@app.get("/lamps/{number}")
async def get_lamp(number: int) -> str:
    """Return a lamp."""
    if number > 1:
        raise NotFoundError("There is no such lamp.")
    return "blue"


# <end>
