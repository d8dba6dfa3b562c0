"""Public responses, found by what was asked, before anything else is done."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope

from fastapi_baseline.caching.keys import HOST
from fastapi_baseline.caching.policy import ResponsePolicy
from fastapi_baseline.caching.request_directives import CACHE_CONTROL, PRAGMA

# What is asked with these is looked at closely, elsewhere.
_UNUSUAL = frozenset({CACHE_CONTROL, PRAGMA, b"content-length", b"transfer-encoding"})
_MAX_VARIANTS = 64
_TELEMETRY = "fastapi.telemetry"

Asked = tuple[str, str, str, bytes]
"""What tells what is asked for, as the server says it."""
_Values = tuple[tuple[bytes, bytes], ...]


@dataclass(slots=True)
class Shortcut:
    """What is known of one URL."""

    policy: ResponsePolicy
    vary: frozenset[bytes]
    names: frozenset[bytes]
    place: dict[str, Any]
    template: str | None
    keys: dict[_Values, str] = field(default_factory=dict[_Values, str])

    def mark(self, scope: Scope) -> None:
        """Say in a request which route it was for, as routing would have."""
        scope.update(self.place)
        telemetry: Any = scope.get(_TELEMETRY)
        if telemetry is not None:
            telemetry.route = self.template


class Shortcuts:
    """Which requests are answered with which entries, without asking the application.

    There are only those that were answered so before; the ones used least recently are forgotten.
    """

    def __init__(self, *, max_urls: int = 10_000) -> None:
        """Remember so many URLs."""
        self._max_urls = max_urls
        self._by_url: OrderedDict[Asked, Shortcut] = OrderedDict()

    def find(self, scope: Scope) -> tuple[str, Shortcut] | None:
        """Return the key of the response to a request, if it is known."""
        asked = asked_by(scope)
        shortcut = self._by_url.get(asked)
        if shortcut is None:
            return None
        if shortcut.vary is not shortcut.policy.vary:
            # Meanwhile a response has named another header that makes a difference.
            del self._by_url[asked]
            return None
        names = shortcut.names
        values: list[tuple[bytes, bytes]] = []
        for pair in scope["headers"]:
            name = pair[0]
            if name in names:
                values.append(pair)
            elif name in _UNUSUAL:
                return None
        if len(values) > 1:
            values.sort()
        key = shortcut.keys.get(tuple(values))
        if key is None:
            return None
        self._by_url.move_to_end(asked)
        return key, shortcut

    def note(self, asked: Asked, key: str, *, scope: Scope, policy: ResponsePolicy) -> None:
        """Remember which entry answers a request, now that its route is known."""
        shortcut = self._by_url.get(asked)
        if shortcut is None or shortcut.vary is not policy.vary:
            shortcut = self._by_url[asked] = Shortcut(
                policy=policy,
                vary=policy.vary,
                names=policy.vary | {HOST},
                place=_place_of(scope),
                template=getattr(scope.get(_TELEMETRY), "route", None),
            )
        values = tuple(sorted(pair for pair in scope["headers"] if pair[0] in shortcut.names))
        if len(shortcut.keys) >= _MAX_VARIANTS and values not in shortcut.keys:
            shortcut.keys.clear()
        shortcut.keys[values] = key
        while len(self._by_url) > self._max_urls:
            self._by_url.popitem(last=False)


def asked_by(scope: Scope) -> Asked:
    """Return what tells what a request asks for, before routing has changed its scope."""
    return scope["path"], scope.get("root_path", ""), scope["scheme"], scope["query_string"]


def _place_of(scope: Scope) -> dict[str, Any]:
    """Return what routing has said of a request, as far as it is the same for all."""
    place = {name: scope[name] for name in ("endpoint", "route") if name in scope}
    effective = scope.get("fastapi", {}).get("effective_route_context")
    return place | {"fastapi": {"effective_route_context": effective}}
