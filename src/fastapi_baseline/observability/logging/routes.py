"""Levels over HTTP, as routes that are in no documentation."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from fastapi_baseline.observability.logging.levels import LoggerLevel, LogLevels
from fastapi_baseline.settings import LogLevel

LOGGERS_PATH = "/loggers"
LONGEST_CHANGE = timedelta(days=1)
"""How long a level can be changed for at most: a service that writes all is easily forgotten."""

_DEFAULT_CHANGE = timedelta(minutes=15)


class LevelChange(BaseModel):
    """What a level becomes, and for how long: seconds, or ISO 8601 (`PT5M`)."""

    model_config = ConfigDict(extra="forbid")

    level: LogLevel
    duration: Annotated[timedelta, Field(gt=timedelta(0), le=LONGEST_CHANGE)] = _DEFAULT_CHANGE


def make_loggers_router(levels: LogLevels) -> APIRouter:
    """Return the routes that show and change how much is logged.

    They are for operators: whoever may use them can make a service write all that it does, so they
    belong behind a token or on a port of their own. Changes end by themselves, after 15 minutes
    unless they say otherwise, and after a day at most.
    """
    router = APIRouter(prefix=LOGGERS_PATH, include_in_schema=False)

    @router.get("")
    def list_levels() -> list[LoggerLevel]:
        return levels.find_all()

    @router.get("/{name}")
    def get_level(name: str) -> LoggerLevel:
        return levels.get(name)

    @router.put("/{name}")
    def change_level(name: str, change: Annotated[LevelChange, Body()]) -> LoggerLevel:
        return levels.set(name, change.level, for_=change.duration)

    @router.delete("/{name}")
    def reset_level(name: str) -> LoggerLevel:
        return levels.reset(name)

    return router
