"""The application; `baseline run` serves it."""

from fastapi import FastAPI
from fastapi_baseline import create_app

from patients.settings import Settings


def make_app(settings: Settings) -> FastAPI:
    """Return the application; what clients of json-server know for an invalid request is 400."""
    return create_app(settings, validation_status=400, title="Patients")


app = make_app(Settings.load())
