"""What routes say about their limits.

A declaration belongs to the function object of a route. Nothing is wrapped and no signature changes:
the limits are enforced by what `ApplicationLimits` attaches to the routes.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any, NamedTuple, Protocol, TypeVar

from starlette.requests import HTTPConnection

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.rate_limiting.decisions import Decision
from fastapi_baseline.rate_limiting.policies import FailureMode, QuotaPolicy, Strategy

DECLARATIONS = "__rate_limits__"
"""The attribute of a function that holds its declarations."""
EXEMPTION = "__rate_limit_exempt__"
"""The attribute of a function that is not limited."""

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class PolicyDefaults:
    """What holds for limits that do not say it themselves."""

    strategy: Strategy = "gcra"
    failure_mode: FailureMode = "local"
    shadow: bool = False


class Rule(NamedTuple):
    """A policy, and the limit that it was read from, which is what errors carry."""

    policy: QuotaPolicy
    limit: Any


class LimitOwner(Protocol):
    """The limiter that a limit was declared with."""

    enabled: bool
    is_automatic: bool
    """Whether its limits hold for the routes that they were declared for."""
    caller: Callable[..., Any] | None
    """The dependency that knows who is asking."""

    def refuse(
        self, limit: Any, *, decision: Decision, connection: HTTPConnection, args: Sequence[str]
    ) -> Exception:
        """Return the error that says that a request is above a limit."""
        ...


class RuleReader(Protocol):
    """What makes rules of a text such as `100/minute;1000/hour`."""

    def __call__(self, text: str, defaults: PolicyDefaults) -> tuple[Rule, ...]:
        """Return the rules that a text lists.

        Raises:
            ConfigurationError: If it is not understood.
        """
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Declaration:
    """Limits that were declared together, as texts or as what gives texts."""

    provider: str | Callable[..., Any]
    read: RuleReader
    owner: LimitOwner
    key_function: Callable[..., Any] | None = None
    """`None` is whoever the limiter finds to be asking."""
    scope: str | Callable[..., Any] | None = None
    """What shares the limit; each route has its own if nothing does."""
    per_method: bool = False
    methods: frozenset[str] | None = None
    """In capitals; `None` means all."""
    exempt_when: Callable[..., Any] | None = None
    cost: int | Callable[..., Any] = 1
    override_defaults: bool = True
    prefix: str = ""
    """What comes before the names of counters."""
    count_if: Callable[[int], bool] | None = None
    """Told the status of the response: what it says no to is given back."""

    @cached_property
    def is_simple(self) -> bool:
        """Whether nothing but the key has to be found out for each request."""
        return (
            isinstance(self.provider, str)
            and isinstance(self.cost, int)
            and not callable(self.scope)
            and self.exempt_when is None
            and self.methods is None
            and not self.per_method
            and self.count_if is None
        )


def declare(function: Function, declaration: Declaration) -> Function:
    """Attach a declaration to a function, and return the same function.

    Raises:
        ConfigurationError: If it can have no attributes, as a bound method.
    """
    # A new tuple: a wrapper may have copied the attributes of what it wraps.
    _mark(function, DECLARATIONS, (*declarations_of(function), declaration))
    return function


def exempt(function: Function) -> Function:
    """Say that a function is not limited, and return the same function.

    Raises:
        ConfigurationError: If it can have no attributes, as a bound method.
    """
    _mark(function, EXEMPTION, value=True)
    return function


def declarations_of(function: object) -> tuple[Declaration, ...]:
    """Return what was declared for a function."""
    found: tuple[Declaration, ...] = getattr(_innermost(function), DECLARATIONS, ())
    return found


def is_exempt(function: object) -> bool:
    """Return whether it was said that a function is not limited."""
    return bool(getattr(_innermost(function), EXEMPTION, False))


def _mark(function: object, name: str, value: object) -> None:
    try:
        setattr(function, name, value)
    except AttributeError as error:
        raise ConfigurationError(
            f"A limit is declared for a function, and {function!r} can carry none: decorate the "
            "function in its class."
        ) from error


def _innermost(function: Any) -> Any:
    # Any, since a partial of anything is a partial of something unknown.
    kind: Any = partial
    while isinstance(function, kind) and not hasattr(function, DECLARATIONS):
        function = function.func
    return function


@lru_cache(maxsize=1_000)
def takes_argument(function: Callable[..., Any]) -> bool:
    """Return whether a function wants to be told something."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(
        one.default is one.empty or one.name in {"request", "key"}
        for one in parameters
        if one.kind is not one.KEYWORD_ONLY and one.kind is not one.VAR_KEYWORD
    )


async def ask(function: Callable[..., Any], argument: object) -> Any:
    """Return what a function says that takes one argument or none, and may have to be awaited."""
    answer = function(argument) if takes_argument(function) else function()
    return await answer if inspect.isawaitable(answer) else answer
