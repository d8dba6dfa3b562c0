"""How parts of an application start, stop and say whether they are well."""

from fastapi_baseline.lifecycle.availability import Availability
from fastapi_baseline.lifecycle.checks import HealthCheck, LocalCheck
from fastapi_baseline.lifecycle.heap import frozen_heap, growing_heap
from fastapi_baseline.lifecycle.lifespans import (
    Lifespan,
    StatefulLifespan,
    StatelessLifespan,
    chain_lifespans,
)
from fastapi_baseline.lifecycle.shutdown import GracefulShutdown

__all__ = [
    "Availability",
    "GracefulShutdown",
    "HealthCheck",
    "Lifespan",
    "LocalCheck",
    "StatefulLifespan",
    "StatelessLifespan",
    "chain_lifespans",
    "frozen_heap",
    "growing_heap",
]
