"""The place where the parts are joined: a new application, or one that exists."""

from fastapi_baseline.app.assembly import create_app, install
from fastapi_baseline.app.service import Service

__all__ = ["Service", "create_app", "install"]
