"""The settings of a service, without its application: commands need them before it can start."""

import importlib
from pathlib import Path

from fastapi_baseline.discovery import configured_package
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings import Settings


def load_settings(root: Path) -> Settings:
    """Read the settings of a service where the template keeps them.

    Raises:
        ConfigurationError: If there is no such class.
    """
    name = f"{configured_package(root)}.settings"
    found = getattr(importlib.import_module(name), "Settings", None)
    if not isinstance(found, type) or not issubclass(found, Settings):
        raise ConfigurationError(f"{name} has no class Settings of this library.")
    return found.load()
