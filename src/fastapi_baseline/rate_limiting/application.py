"""The limits of one application: what settings and code say, joined with its routes."""

import logging
import sys
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from fastapi.dependencies.models import Dependant
from opentelemetry.metrics import MeterProvider
from starlette.middleware import Middleware
from starlette.types import Scope

from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.rate_limiting.concurrency import ConcurrencyLimiter, LeaseStore
from fastapi_baseline.rate_limiting.decisions import Decision
from fastapi_baseline.rate_limiting.declarations import (
    Declaration,
    PolicyDefaults,
    declarations_of,
    is_exempt,
)
from fastapi_baseline.rate_limiting.demands import LimitUse
from fastapi_baseline.rate_limiting.dependency import RouteLimits
from fastapi_baseline.rate_limiting.engine import RateLimitEngine
from fastapi_baseline.rate_limiting.headers import LimitHeaders
from fastapi_baseline.rate_limiting.memory import MemoryRateLimitStore
from fastapi_baseline.rate_limiting.memory_leases import MemoryLeaseStore
from fastapi_baseline.rate_limiting.metrics import RateLimitMetrics
from fastapi_baseline.rate_limiting.middleware import RateLimitMiddleware
from fastapi_baseline.rate_limiting.openapi import LimitedOperation, document_rate_limits
from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.rate_limiting.routes import (
    RouteEndpoint,
    endpoints_of,
    find_identity,
    is_attached,
)
from fastapi_baseline.rate_limiting.rules import read_policies
from fastapi_baseline.rate_limiting.store import RateLimitStore
from fastapi_baseline.settings import RateLimitSettings

logger = logging.getLogger("fastapi_baseline.rate_limiting")

_MOST_ROUTES = 10_000

DecisionObserver = Callable[[Decision], None]


class LimitSource(Protocol):
    """What limits are declared with, besides the functions of routes themselves."""

    @property
    def defaults(self) -> Sequence[Declaration]:
        """Limits of routes that declare none."""
        ...

    @property
    def application(self) -> Sequence[Declaration]:
        """Limits of all routes together."""
        ...

    @property
    def filters(self) -> Sequence[Callable[[], bool]]:
        """What says that a request is not limited."""
        ...

    @property
    def observers(self) -> Sequence[DecisionObserver]:
        """What is told each decision."""
        ...

    @property
    def wants_legacy_headers(self) -> bool:
        """Whether clients expect the `X-RateLimit-*` headers."""
        ...

    def find_declarations(self, endpoint: object) -> Sequence[Declaration]:
        """Return what was declared for a function, and is not attached to it."""
        ...

    def is_exempt(self, endpoint: object) -> bool:
        """Return whether a function has no limits."""
        ...


class ApplicationLimits:
    """What limits the requests of one application.

    `make_rate_limits` makes it. Its `layer` goes around the application, and its `lifespan` is the
    last one to be entered.
    """

    def __init__(
        self,
        settings: RateLimitSettings,
        *,
        engine: RateLimitEngine | None,
        clock: Clock,
        concurrency: ConcurrencyLimiter | None = None,
    ) -> None:
        """Limit by `engine`, or nothing without one.

        Raises:
            ConfigurationError: If a limit of the settings is not understood.
        """
        self.settings = settings
        self.engine = engine
        self.concurrency = concurrency
        self.policies = PolicyDefaults(
            strategy=settings.strategy, failure_mode=settings.failure_mode, shadow=settings.shadow
        )
        self.per_address = self._read(settings.per_address, name="address")
        self.per_api_key = self._read(settings.per_api_key, name="api-key")
        style = settings.headers
        self.headers = LimitHeaders(
            draft=style in {"draft", "both"}, legacy=style in {"legacy", "both"}, clock=clock
        )
        self.api_key_header = settings.api_key_header
        self.observers: list[DecisionObserver] = []
        self.is_prepared = False
        self._app: Any = None
        self._source: LimitSource | None = None
        # With what has the identity, so that nothing else gets it meanwhile.
        self._known: dict[int, object] = {}

    def layer(self, *, exempt_paths: Collection[str] = ()) -> Middleware:
        """Return the layer around the application; requests for `exempt_paths` pass through."""
        return Middleware(RateLimitMiddleware, limits=self, exempt_paths=exempt_paths)

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncGenerator[None]:
        """Attach the limits of all routes that there are when the application has started."""
        self.prepare(app)
        yield

    def prepare(self, app: Any) -> None:
        """Attach the limits of all routes of an application, also those it has got since.

        Raises:
            ConfigurationError: If a limit is not understood.
        """
        if self.engine is None:
            return
        self._source = _find_source(app, defaults=self.settings.default)
        if self._source is not None:
            self.headers.legacy |= (
                self._source.wants_legacy_headers and self.settings.headers != "none"
            )
            self.observers += [one for one in self._source.observers if one not in self.observers]
        for endpoint in endpoints_of(app.routes):
            self._known[id(endpoint.identity)] = endpoint.identity
            uses = _uses_of(endpoint, self._source, self.policies)
            if uses:
                filters = self._source.filters if self._source is not None else ()
                endpoint.attach(RouteLimits(uses, filters=filters))
        # Not before: whatever is wrong is wrong for the next request, too.
        self.is_prepared, self._app = True, app

    def remove_layers(self, app: Any) -> None:
        """Take the layers of slowapi away from an application that has not started."""
        if self.engine is not None and "slowapi.middleware" in sys.modules:
            from fastapi_baseline.rate_limiting.adoption import remove_layers  # noqa: PLC0415

            remove_layers(app)

    def report_unlimited(self, scope: Scope) -> None:
        """Say so if a request came to a route whose limits nobody asked, and attach them.

        That is a route that was added after the application had started.
        """
        found = find_identity(scope)
        if found is None or id(found) in self._known or self._app is None:
            return
        self.prepare(self._app)
        if len(self._known) < _MOST_ROUTES:
            self._known[id(found)] = found
        endpoint = scope["endpoint"]
        if is_attached(found) if isinstance(found, Dependant) else declarations_of(endpoint):
            logger.error(
                "The limits of %s were not enforced: it was added after the application had "
                "started. They are from now on.",
                getattr(endpoint, "__qualname__", repr(endpoint)),
            )

    def document(self, app: Any, document: dict[str, Any]) -> None:
        """Add to the OpenAPI document of an application what its limited routes answer."""
        if self.engine is None:
            return
        self._source = _find_source(app, defaults=self.settings.default)
        operations = [
            LimitedOperation(
                path=endpoint.path,
                methods=endpoint.methods,
                policies=[rule.policy for use in uses for rule in use.rules or ()],
            )
            for endpoint in endpoints_of(app.routes)
            if not endpoint.is_mounted and (uses := _uses_of(endpoint, self._source, self.policies))
        ]
        document_rate_limits(document, operations, draft=self.headers.draft)

    def _read(self, texts: Sequence[str], *, name: str) -> tuple[QuotaPolicy, ...]:
        return read_policies(texts, name=name, defaults=self.policies)


def _uses_of(
    endpoint: RouteEndpoint, source: LimitSource | None, defaults: PolicyDefaults
) -> list[LimitUse]:
    """Return the limits of a route, in the order in which they are told."""
    function = endpoint.endpoint
    if is_exempt(function):
        return []
    declared = list(declarations_of(function))
    if source is not None:
        if source.is_exempt(function):
            return []
        declared += source.find_declarations(function)
        if endpoint.dependant is not None:
            if not any(one.override_defaults for one in declared):
                declared += source.defaults
            declared += source.application
    return [
        LimitUse.of(one, place=endpoint.place, defaults=defaults)
        for one in declared
        if one.owner.is_automatic
    ]


def _find_source(app: Any, *, defaults: Sequence[str]) -> LimitSource | None:
    limiter = getattr(app.state, "limiter", None)
    is_limiter = any(kind.__module__.startswith("slowapi.") for kind in type(limiter).__mro__)
    if not is_limiter and not defaults:
        return None
    # Only a service that limits routes pays for the import of slowapi.
    from fastapi_baseline.rate_limiting.adoption import adopt  # noqa: PLC0415

    return adopt(limiter if is_limiter else None, defaults=defaults)


def make_rate_limits(
    settings: RateLimitSettings,
    *,
    shared: RateLimitStore | None = None,
    shared_leases: LeaseStore | None = None,
    clock: Clock | None = None,
    meter_provider: MeterProvider | None = None,
    on_decision: DecisionObserver | None = None,
) -> ApplicationLimits:
    """Return what limits the requests of an application, counting in `shared` if there is one.

    What runs at once is counted in `shared_leases`, likewise.

    Decisions are counted with `meter_provider`, and told to `on_decision`.

    Raises:
        ConfigurationError: If a limit of the settings is not understood.
    """
    clock = clock or SystemClock()
    if not settings.enabled:
        return ApplicationLimits(settings, engine=None, clock=clock)
    record = RateLimitMetrics(meter_provider).record
    observers = [on_decision] if on_decision is not None else []

    def observe(decision: Decision) -> None:
        record(decision)
        for tell in observers:
            tell(decision)

    engine = RateLimitEngine(
        local=MemoryRateLimitStore(clock=clock, max_keys=settings.max_keys),
        shared=shared,
        instances=settings.instances,
        clock=clock,
        on_decision=observe,
    )
    concurrency = ConcurrencyLimiter(
        local=MemoryLeaseStore(clock=clock), shared=shared_leases, instances=settings.instances
    )
    limits = ApplicationLimits(settings, engine=engine, clock=clock, concurrency=concurrency)
    limits.observers = observers
    return limits
