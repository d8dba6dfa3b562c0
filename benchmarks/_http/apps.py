"""The contenders, each as an application that is ready to be served."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from fastapi import FastAPI
from starlette.types import ASGIApp

from benchmarks._http.service import ORIGIN, add_routes
from fastapi_baseline import Settings, create_app

BARE, DEFAULT, TRACED, PEERS = "bare", "default", "traced", "peers"
SAMPLED_PEERS, UNTRACED_PEERS = "peers_sampled", "peers_untraced"
RATIO = 0.1
TRUSTED = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an application should be like."""

    routes: int = 10
    asked_last: bool = False
    collector: str | None = None
    """Where spans go, if any are sent: an address that takes OTLP over HTTP."""


def make(name: str, wanted: Wanted) -> ASGIApp:
    """Return the application of a contender."""
    return _MAKERS[name](wanted)


def _bare(wanted: Wanted) -> ASGIApp:
    return add_routes(FastAPI(), wanted.routes, asked_last=wanted.asked_last)


def ours(wanted: Wanted, **changed: object) -> FastAPI:
    """Return what `create_app` makes of the settings of a service in production."""
    traced = {
        "otel_exporter_otlp_endpoint": wanted.collector,
        "tracing": {"sample_ratio": RATIO},
    }
    settings = Settings.model_validate(
        {
            "environment": "production",
            "service_name": "benchmark",
            "cors_origins": (ORIGIN,),
            "trusted_hosts": ("api.example.com",),
            "trusted_proxies": (TRUSTED,),
            "management": {"token": "0" * 32},
            **(traced if wanted.collector else {}),
            **changed,
        }
    )
    app = create_app(settings)
    routes = app.router.routes
    brought = len(routes)
    add_routes(app, wanted.routes, asked_last=wanted.asked_last)
    # The routes of a service's domains come before those that the library brings.
    routes[:] = [*routes[brought:], *routes[:brought]]
    return app


def _default(wanted: Wanted) -> ASGIApp:
    return ours(replace(wanted, collector=None))


def _peers(wanted: Wanted, *, ratio: float | None = None) -> ASGIApp:
    # Only its own environment has what it is made of.
    peers = importlib.import_module("benchmarks.peers.with_http_stack")
    app: ASGIApp = peers.make(
        add_routes(FastAPI(), wanted.routes, asked_last=wanted.asked_last),
        origin=ORIGIN,
        collector=wanted.collector,
        ratio=ratio,
    )
    return app


_MAKERS: Mapping[str, Callable[[Wanted], ASGIApp]] = {
    BARE: _bare,
    DEFAULT: _default,
    TRACED: ours,
    PEERS: _peers,
    SAMPLED_PEERS: lambda wanted: _peers(wanted, ratio=RATIO),
    UNTRACED_PEERS: lambda wanted: _peers(replace(wanted, collector=None)),
}
NAMES = tuple(_MAKERS)
