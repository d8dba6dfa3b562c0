"""A `slowapi.Limiter` of which only what it declares is left."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

from starlette.requests import HTTPConnection

import fastapi_baseline
from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.rate_limiting.decisions import Decision
from fastapi_baseline.rate_limiting.declarations import Declaration, PolicyDefaults
from fastapi_baseline.rate_limiting.policies import FailureMode, Strategy
from fastapi_baseline.rate_limiting.problems import answer_refusals
from fastapi_baseline.rate_limiting.slowapi_rules import QuotaExceededError, make_reader

with optional("slowapi", "limits", extra="ratelimit"):
    import slowapi
    from slowapi.errors import RateLimitExceeded

logger = logging.getLogger("fastapi_baseline.rate_limiting")

LimitProvider = str | Callable[..., Any]
"""`100/minute`, or a function that returns that: of the request, of its `key`, or of nothing."""

# Names of slowapi, which knows one more kind of sliding window than it needs.
_STRATEGIES: dict[str, Strategy] = {
    "gcra": "gcra",
    "fixed-window": "fixed-window",
    "sliding-window": "sliding-window",
    "sliding-window-counter": "sliding-window",
    "moving-window": "sliding-window",
}
# slowapi reads a `.env` file by itself unless it is told of another, which has to exist.
_NO_ENVIRONMENT = Path(fastapi_baseline.__file__).with_name("py.typed")


class LimitOptions(TypedDict, total=False):
    """What a limit may say that slowapi's does not."""

    name: str | None
    """What clients see of it."""
    burst: int | None
    """How much may be used at once."""
    strategy: Strategy | None
    failure_mode: FailureMode | None
    shadow: bool | None
    count_if: Callable[[int], bool] | None
    """Told the status of the response: what it says no to is given back."""


class StandardOptions(TypedDict, total=False):
    """What a limit may say as slowapi's does."""

    per_method: bool
    methods: Sequence[str] | None
    error_message: str | Callable[[], str] | None
    exempt_when: Callable[..., Any] | None
    cost: int | Callable[..., Any]
    override_defaults: bool


class DeclaringLimiter(slowapi.Limiter):
    """A limiter that takes what slowapi's takes, and whose own engine has nothing to do."""

    def __init__(
        self,
        key_func: Callable[..., Any] | None = None,
        default_limits: Sequence[LimitProvider] = (),
        application_limits: Sequence[LimitProvider] = (),
        *,
        caller: Callable[..., Any] | None = None,
        on_decision: Callable[[Decision], None] | None = None,
        strategy: str | None = None,
        enabled: bool = True,
        headers_enabled: bool = False,
        swallow_errors: bool = False,
        in_memory_fallback: Sequence[LimitProvider] = (),
        in_memory_fallback_enabled: bool = False,
        auto_check: bool = True,
        key_prefix: str = "",
        storage_uri: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        retry_after: str | None = None,
        config_filename: str | None = None,
        key_style: Literal["endpoint", "url"] = "url",
    ) -> None:
        """Count by `key_func`, or by whoever the dependency `caller` says is asking.

        Without either, requests count for the principal of their context, or for their address.
        `default_limits` hold for each route that declares none, and `application_limits` for all
        routes together. `headers_enabled` adds the `X-RateLimit-*` headers to those of the settings,
        and `swallow_errors` lets requests through while Redis does not answer. `on_decision` is told
        what all limits of the service say, also those of addresses; it may neither wait nor raise.

        Raises:
            ConfigurationError: If a limit or the strategy is not understood.
        """
        del storage_options, config_filename
        super().__init__(
            key_func=key_func or _unused,
            headers_enabled=headers_enabled,
            storage_uri="memory://",
            storage_options={},
            auto_check=auto_check,
            swallow_errors=swallow_errors,
            key_prefix=key_prefix,
            enabled=enabled,
            config_filename=str(_NO_ENVIRONMENT),
            retry_after=retry_after,
            key_style=key_style,
        )
        self.caller = caller
        self.on_decision = on_decision
        self.is_automatic = auto_check
        self.key_function = key_func
        self._default_strategy = _strategy_of(strategy)
        falls_back = in_memory_fallback_enabled or bool(in_memory_fallback)
        self._default_failure_mode: FailureMode | None = None
        if swallow_errors or falls_back:
            self._default_failure_mode = "local" if falls_back else "open"
        self.defaults = self._declare_all(default_limits, name="default")
        self.application = self._declare_all(application_limits, name="application")
        if storage_uri is not None and not storage_uri.startswith("memory://"):
            logger.warning("storage_uri of a limiter has no meaning: REDIS_URL says where to count")

    def get_app_config(self, key: str, default_value: Any = None) -> Any:
        """Return the default: what is configured stands in the settings of the service."""
        del key
        return default_value

    def reset(self) -> None:
        """Do nothing: a limiter has no counters, and tests have an application of their own."""

    def refuse(
        self, limit: Any, *, decision: Decision, connection: HTTPConnection, args: Sequence[str]
    ) -> Exception:
        """Return the error that says that a request is above a limit, and see to its answer."""
        # What handlers that were written for slowapi look at.
        connection.state.view_rate_limit = (limit.limit, list(args))
        answer_refusals(connection.scope, RateLimitExceeded)
        return QuotaExceededError(limit, decision=decision)

    def make_declaration(
        self,
        limit_value: LimitProvider,
        *,
        key_func: Callable[..., Any] | None = None,
        scope: LimitProvider | None = None,
        standard: StandardOptions | None = None,
        options: LimitOptions | None = None,
    ) -> Declaration:
        """Return a limit that is attached to no function yet.

        Raises:
            ConfigurationError: If the limit is not understood.
        """
        said: dict[str, Any] = {
            "strategy": self._default_strategy,
            "failure_mode": self._default_failure_mode,
            **_without_none(options or {}),
        }
        count_if = said.pop("count_if", None)
        return _declare(
            self,
            limit_value,
            key_function=key_func or self.key_function,
            scope=scope,
            prefix=self._key_prefix or "",
            count_if=count_if,
            standard=standard or {},
            options=said,
        )

    def _declare_all(self, limits: Sequence[LimitProvider], *, name: str) -> list[Declaration]:
        several = len(limits) > 1
        return [
            self.make_declaration(
                limit,
                scope="application" if name == "application" else None,
                standard={"override_defaults": False},
                options={"name": f"{name}-{number}" if several else name},
            )
            for number, limit in enumerate(limits, start=1)
        ]


def _declare(
    owner: DeclaringLimiter,
    limit_value: LimitProvider,
    *,
    key_function: Callable[..., Any] | None,
    scope: LimitProvider | None,
    prefix: str,
    count_if: Callable[[int], bool] | None,
    standard: StandardOptions,
    options: Any,
) -> Declaration:
    methods = standard.get("methods")
    cost, overrides = standard.get("cost", 1), standard.get("override_defaults", True)
    read = make_reader(
        error_message=standard.get("error_message"),
        cost=cost,
        override_defaults=overrides,
        key_func=key_function or _unused,
        **options,
    )
    if isinstance(limit_value, str):
        # What is wrong with it is told when the module is imported.
        read(limit_value, PolicyDefaults())
    return Declaration(
        provider=limit_value,
        read=read,
        owner=owner,
        key_function=key_function,
        scope=scope,
        per_method=standard.get("per_method", False),
        methods=frozenset(method.upper() for method in methods) if methods else None,
        exempt_when=standard.get("exempt_when"),
        cost=cost,
        override_defaults=overrides,
        count_if=count_if,
        prefix=prefix,
    )


def _strategy_of(name: str | None) -> Strategy | None:
    if name is not None and name not in _STRATEGIES:
        known = ", ".join(_STRATEGIES)
        raise ConfigurationError(f"There is no strategy {name!r}: choose one of {known}.")
    return _STRATEGIES[name] if name else None


def _without_none(options: Any) -> Any:
    return {name: value for name, value in options.items() if value is not None}


def _unused() -> str:
    """Stand in for a key function; slowapi cannot do without one."""
    return ""
