"""What a `slowapi.Limiter` has declared, also one that is not ours."""

import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.rate_limiting.declarations import Declaration
from fastapi_baseline.rate_limiting.limiter import RateLimiter

with optional("slowapi", "limits", extra="ratelimit"):
    from slowapi.wrappers import Limit, LimitGroup

logger = logging.getLogger("fastapi_baseline.rate_limiting")

# What is read of slowapi's objects, much of which is not public: its next release may differ.
LIMITER_ATTRIBUTES = (
    "_application_limits",
    "_auto_check",
    "_default_limits",
    "_dynamic_route_limits",
    "_exempt_routes",
    "_headers_enabled",
    "_in_memory_fallback_enabled",
    "_key_func",
    "_key_prefix",
    "_request_filters",
    "_route_limits",
    "_storage_uri",
    "_strategy",
    "_swallow_errors",
    "enabled",
)
_SHARED_ATTRIBUTES = (
    "cost",
    "error_message",
    "exempt_when",
    "methods",
    "override_defaults",
    "per_method",
)
LIMIT_ATTRIBUTES = (*_SHARED_ATTRIBUTES, "_Limit__scope", "key_func", "limit")
GROUP_ATTRIBUTES = (
    *_SHARED_ATTRIBUTES,
    "_LimitGroup__limit_provider",
    "_LimitGroup__scope",
    "key_function",
)
_ADOPTED = "_fastapi_baseline_adopted"
_LAYERS = "slowapi.middleware"


def adopt(limiter: Any, *, defaults: Sequence[str] = ()) -> "AdoptedLimits":
    """Return what a limiter has declared, or only `defaults` without one.

    The engine of a limiter that is not ours is switched off; its decorators, which look whether it
    is on for each request, let everything pass.

    Raises:
        ConfigurationError: If a limit is not understood.
    """
    if limiter is None:
        return AdoptedLimits(RateLimiter(default_limits=defaults), stock=None)
    if isinstance(limiter, RateLimiter):
        return AdoptedLimits(limiter, stock=None, defaults=defaults)
    known: AdoptedLimits | None = getattr(limiter, _ADOPTED, None)
    if known is None:
        known = AdoptedLimits(_limiter_like(limiter), stock=limiter, defaults=defaults)
        setattr(limiter, _ADOPTED, known)
        limiter.enabled = False
        logger.info("The limits of a slowapi.Limiter were taken over; its engine is switched off")
    return known


def remove_layers(app: Any) -> None:
    """Take slowapi's layers away from an application that has not started: ours does their work."""
    app.user_middleware[:] = [
        layer for layer in app.user_middleware if getattr(layer.cls, "__module__", "") != _LAYERS
    ]


class AdoptedLimits:
    """What a limiter has declared, and the defaults of the settings if it has none."""

    def __init__(
        self, limiter: RateLimiter, *, stock: Any = None, defaults: Sequence[str] = ()
    ) -> None:
        """Read the declarations of `stock`, for which `limiter` stands in, or of `limiter`."""
        self._limiter = limiter
        self._stock = stock
        owner = limiter if stock is None else stock
        self.filters: Sequence[Callable[[], bool]] = _read(owner, "_request_filters")
        self.observers = [] if limiter.on_decision is None else [limiter.on_decision]
        self.wants_legacy_headers = bool(_read(owner, "_headers_enabled"))
        self.application: Sequence[Declaration] = limiter.application
        own: Sequence[Declaration] = limiter.defaults
        if stock is not None:
            own = _from_groups(limiter, _read(stock, "_default_limits"), name="default")
            self.application = _from_groups(
                limiter, _read(stock, "_application_limits"), name="application"
            )
        if not own and defaults:
            own = RateLimiter(default_limits=defaults).defaults
        self.defaults: Sequence[Declaration] = own

    def find_declarations(self, endpoint: object) -> Sequence[Declaration]:
        """Return what the limiter knows of a function by its name.

        Functions that share a name have all limits of that name, each of them once.
        """
        name = _name_of(endpoint)
        if self._stock is None or name is None:
            return ()
        limits: list[Limit] = _read(self._stock, "_route_limits").get(name, [])
        groups: list[LimitGroup] = _read(self._stock, "_dynamic_route_limits").get(name, [])
        unique = {_identity_of(one): one for one in (*limits, *groups)}
        return [_from_upstream(self._limiter, one, name=None) for one in unique.values()]

    def is_exempt(self, endpoint: object) -> bool:
        """Return whether the limiter exempts a function of this name."""
        return self._stock is not None and _name_of(endpoint) in _read(
            self._stock, "_exempt_routes"
        )


def _limiter_like(stock: Any) -> RateLimiter:
    """Return a limiter of ours that is set up like one of slowapi's."""
    return RateLimiter(
        key_func=_read(stock, "_key_func"),
        strategy=_read(stock, "_strategy"),
        enabled=_read(stock, "enabled"),
        swallow_errors=_read(stock, "_swallow_errors"),
        in_memory_fallback_enabled=_read(stock, "_in_memory_fallback_enabled"),
        auto_check=_read(stock, "_auto_check"),
        key_prefix=_read(stock, "_key_prefix") or "",
        storage_uri=_read(stock, "_storage_uri"),
    )


def _from_groups(
    limiter: RateLimiter, groups: Iterable[LimitGroup], *, name: str
) -> list[Declaration]:
    listed = list(groups)
    # slowapi keeps defaults in no order.
    listed.sort(key=lambda group: str(_read(group, "_LimitGroup__limit_provider")))
    several = len(listed) > 1
    return [
        _from_upstream(limiter, group, name=f"{name}-{number}" if several else name)
        for number, group in enumerate(listed, start=1)
    ]


def _from_upstream(
    limiter: RateLimiter, upstream: Limit | LimitGroup, *, name: str | None
) -> Declaration:
    """Return a limit of slowapi's as one of ours."""
    if isinstance(upstream, LimitGroup):
        provider = _read(upstream, "_LimitGroup__limit_provider")
        scope, key_func = _read(upstream, "_LimitGroup__scope"), upstream.key_function
    else:
        provider = str(upstream.limit)
        scope, key_func = _read(upstream, "_Limit__scope"), upstream.key_func
    return limiter.make_declaration(
        provider,
        key_func=key_func,
        scope=f"shared:{scope}" if isinstance(scope, str) and scope else scope or None,
        standard={
            "per_method": upstream.per_method and scope is None,
            "methods": upstream.methods,
            "error_message": upstream.error_message,
            "exempt_when": upstream.exempt_when,
            "cost": upstream.cost,
            "override_defaults": upstream.override_defaults,
        },
        options={"name": name},
    )


def _identity_of(upstream: Limit | LimitGroup) -> Hashable:
    """Return what two limits have in common that are one."""
    names = GROUP_ATTRIBUTES if isinstance(upstream, LimitGroup) else LIMIT_ATTRIBUTES
    # Lists of methods have no hash.
    return tuple(
        repr(_read(upstream, name)) if name == "methods" else _read(upstream, name)
        for name in names
    )


def _read(upstream: object, name: str) -> Any:
    return getattr(upstream, name)


def _name_of(endpoint: object) -> str | None:
    """Return what slowapi knows a function by."""
    module, name = getattr(endpoint, "__module__", None), getattr(endpoint, "__name__", None)
    return None if module is None or name is None else f"{module}.{name}"


def check_upstream(objects: Iterable[tuple[object, Sequence[str]]]) -> None:
    """Refuse a version of slowapi that has not what is read of it.

    Raises:
        ConfigurationError: If an attribute is missing; the message names it.
    """
    for found, names in objects:
        missing = [name for name in names if not hasattr(found, name)]
        if missing:
            raise ConfigurationError(
                f"This version of slowapi has changed: {type(found).__name__} has no "
                f"{', '.join(missing)}. Install slowapi>=0.1.10,<0.2."
            )


_EXAMPLE = RateLimiter(default_limits=["1/minute"])
_GROUP = LimitGroup("1/minute", str, None, False, None, None, None, 1, False)  # noqa: FBT003 -- slowapi takes no names
check_upstream(
    [
        (_EXAMPLE, LIMITER_ATTRIBUTES),
        (_GROUP, GROUP_ATTRIBUTES),
        *((one, LIMIT_ATTRIBUTES) for one in _GROUP),
    ]
)
