"""The types of what an environment says: texts that are read as lists, durations and secrets."""

import json
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr
from pydantic_settings import NoDecode

Environment = Literal["development", "test", "staging", "production"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

DatabaseUrl = SecretStr
"""Where a database is, with its password: read it with `.get_secret_value()`."""

RedisUrl = SecretStr
"""Where a Redis server is, with its password: read it with `.get_secret_value()`."""


def _split(value: object) -> object:
    """Read a list written as JSON or with commas, as the environment has it."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


def upper(value: object) -> object:
    """Return a text in capitals, and anything else as it is."""
    return value.upper() if isinstance(value, str) else value


def _seconds(value: object) -> object:
    """Read a plain number in text as seconds: Pydantic itself reads only ISO 8601 there."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Duration = Annotated[timedelta, BeforeValidator(_seconds)]
"""A length of time: seconds (`1.5`) or ISO 8601 (`PT1.5S`)."""


split_list = BeforeValidator(_split)
"""How a list is read that is written as JSON or with commas; its type needs `NoDecode`, too."""

TextList = Annotated[tuple[str, ...], NoDecode, split_list]
"""Texts, separated by commas or as JSON."""


class Section(BaseModel):
    """Settings that belong together; a service may derive its own, too."""

    model_config = ConfigDict(frozen=True, extra="forbid")
