"""What a request needs of the limits of its route."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.requests import HTTPConnection

from fastapi_baseline.rate_limiting.decisions import Demand
from fastapi_baseline.rate_limiting.declarations import (
    Declaration,
    LimitOwner,
    PolicyDefaults,
    Rule,
    ask,
)
from fastapi_baseline.rate_limiting.keys import digest, get_caller, text_of

Callers = Mapping[Callable[..., Any], Any]
"""What the dependencies that know who is asking have returned."""


@dataclass(frozen=True, slots=True, eq=False)
class LimitUse:
    """A declaration as it holds for one route."""

    declaration: Declaration
    place: str
    """What counts for itself: a route, or what shares a limit."""
    what: str
    """The same, as the names of counters have it."""
    rules: tuple[Rule, ...] | None
    """`None` if they are another for each request."""
    defaults: PolicyDefaults
    cost: int
    """What a request uses, if it is not another for each."""

    @classmethod
    def of(cls, declaration: Declaration, *, place: str, defaults: PolicyDefaults) -> "LimitUse":
        """Return the use of a declaration in the place that counts, if it does not name another.

        Raises:
            ConfigurationError: If the limits are not understood.
        """
        scope, provider = declaration.scope, declaration.provider
        place = scope if isinstance(scope, str) else place
        rules = declaration.read(provider, defaults) if isinstance(provider, str) else None
        what = digest(declaration.prefix + place)
        cost = declaration.cost if isinstance(declaration.cost, int) else 1
        return cls(declaration, place, what, rules, defaults, cost)


class Wanted(NamedTuple):
    """What a request needs of one policy, and what to say if it does not get it."""

    demand: Demand
    rule: Rule
    use: LimitUse
    caller: str


async def collect(
    connection: HTTPConnection,
    uses: Sequence[LimitUse],
    callers: Callers,
) -> list[Wanted]:
    """Return what a request needs of all policies, each of which is there once."""
    # A policy that two declarations name for the same caller and place is one.
    wanted: dict[tuple[str, str], Wanted] = {}
    known: dict[Callable[..., Any] | None, tuple[str, str] | None] = {}
    for use in uses:
        declaration = use.declaration
        if not declaration.owner.enabled:
            continue
        if not declaration.is_simple and not await _applies(declaration, connection):
            continue
        asked = declaration.key_function or declaration.owner.caller
        if asked not in known:
            known[asked] = await find_caller(
                connection,
                key_function=declaration.key_function,
                owner=declaration.owner,
                callers=callers,
            )
        found = known[asked]
        if found is None:
            continue
        caller, tag = found
        rules, what, cost = use.rules, use.what, use.cost
        if not declaration.is_simple:
            rules = await _read(use, connection, caller)
            what = await _what(use, connection)
        if not isinstance(declaration.cost, int):
            cost = int(await ask(declaration.cost, connection))
        for rule in rules or ():
            key = f"{tag}:{what}"
            demand = Demand(rule.policy, key, cost)
            wanted[rule.policy.name, key] = Wanted(demand, rule, use, caller)
    return list(wanted.values())


async def _applies(declaration: Declaration, connection: HTTPConnection) -> bool:
    if declaration.methods is not None:
        method = connection.scope.get("method", "WEBSOCKET")
        if method not in declaration.methods:
            return False
    condition = declaration.exempt_when
    return condition is None or not await ask(condition, connection)


async def find_caller(
    connection: HTTPConnection,
    *,
    key_function: Callable[..., Any] | None,
    owner: LimitOwner,
    callers: Callers,
) -> tuple[str, str] | None:
    """Return who is counted, and what stands for them, or `None` if the limit is not for them."""
    caller = None if owner.caller is None else callers.get(owner.caller)
    if key_function is not None:
        key = await ask(key_function, connection)
        if key is None:
            return None
        text = counted = text_of(key)
    elif caller is not None:
        text = text_of(caller)
        # Nobody can have the address of another as a name.
        counted = f"caller:{text}"
    else:
        text = counted = get_caller(connection)
    return text, f"{{{digest(counted)}}}"


async def _read(use: LimitUse, connection: HTTPConnection, caller: str) -> tuple[Rule, ...]:
    """Return the rules for a request, which a plan may have none of."""
    if use.rules is not None:
        return use.rules
    provider = use.declaration.provider
    assert not isinstance(provider, str)  # noqa: S101 -- a text has its rules already
    # As slowapi has it: whoever asks for the key gets that, and everybody else the request.
    by_key = "key" in inspect.signature(provider).parameters
    text = await ask(provider, caller if by_key else connection)
    return use.declaration.read(str(text), use.defaults) if text else ()


async def _what(use: LimitUse, connection: HTTPConnection) -> str:
    declaration = use.declaration
    scope = declaration.scope
    if not callable(scope) and not declaration.per_method:
        return use.what
    place = use.place if not callable(scope) else text_of(await ask(scope, connection))
    method = connection.scope.get("method", "") if declaration.per_method else ""
    return digest(f"{declaration.prefix}{place}:{method}")
