"""How routes come by whether the process takes traffic."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.lifecycle import Availability


def get_availability(connection: HTTPConnection) -> Availability:
    """Return whether the process takes traffic, as an object that may be told so.

    Raises:
        ConfigurationError: If the application has none; `create_app` and `install` give it one.
    """
    availability = getattr(connection.app.state, "availability", None)
    if isinstance(availability, Availability):
        return availability
    raise ConfigurationError("The application has no availability: set app.state.availability.")


CurrentAvailability = Annotated[Availability, Depends(get_availability)]
"""The parameter of a route that lets the process refuse traffic, or waits for its end."""
