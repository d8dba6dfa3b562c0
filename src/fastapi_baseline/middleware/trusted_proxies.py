"""Who really sent a request, when proxies stand in between."""

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.middleware.forwarding import (
    Origin,
    TrustedAddresses,
    find_origin,
    read_forwarded,
    read_x_forwarded,
    replace_authority,
)

X_FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port")
FORWARDED = "forwarded"

ADDRESS_HEADERS = (
    FORWARDED,
    *X_FORWARDED,
    "cf-connecting-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-original-forwarded-for",
    "x-real-ip",
)
"""Headers that tell where a request comes from. They are taken off every request, since code
further in that reads one by itself would believe the client."""

IDENTITY_HEADERS = (
    "cf-access-*",
    "remote-email",
    "remote-groups",
    "remote-name",
    "remote-user",
    "tailscale-user-*",
    "x-amzn-mtls-*",
    "x-amzn-oidc-*",
    "x-auth-request-*",
    "x-authentik-*",
    "x-client-cert*",
    "x-forwarded-*",
    "x-goog-authenticated-user-*",
    "x-goog-iap-*",
    "x-ms-client-principal*",
    "x-pomerium-*",
    "x-remote-user",
    "x-ssl-*",
)
"""Headers with which proxies that sign people in tell who it is; a `*` at the end stands for any
end. They are taken off requests that come from anybody else."""

RawHeader = tuple[bytes, bytes]

_SCOPE_KEY = "fastapi_baseline.trusted_proxies"
_LONGEST_REMEMBERED = 128
_MOST_REMEMBERED = 512


class TrustedProxiesMiddleware:
    """Make the client, the scheme and the host of a request what they were at the outermost proxy.

    Only a peer in `trusted` is believed, and only about the headers named. By default these are
    `X-Forwarded-For` and `X-Forwarded-Proto`: a proxy that does not write one of the others passes
    on what the client has written. `Forwarded` (RFC 7239) can be named instead, and never with the
    others: who reads two stories believes the one that the client tells.

    It belongs outside of everything else, telemetry included. Of several such layers, the outermost
    counts. The server must not do the same
    before (uvicorn: `--no-proxy-headers`), or the peer seen here is not the peer.

    Raises:
        ConfigurationError: If an entry of `trusted` is no address, network or name of a group, or
            headers are named that are unknown or tell two stories.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        trusted: Sequence[str],
        headers: Sequence[str] = ("x-forwarded-for", "x-forwarded-proto"),
        identity_headers: Collection[str] = IDENTITY_HEADERS,
    ) -> None:
        """Wrap `app`; `identity_headers` are believed only if they come from a trusted peer."""
        self._app = app
        self._trusted = TrustedAddresses(trusted)
        self._believed = frozenset(_checked(headers))
        # Clients come back, and what a proxy says of one of them stays the same.
        self._remember_origin = lru_cache(maxsize=_MOST_REMEMBERED)(self._find_origin)
        self._from_trusted = _HeaderNames(ADDRESS_HEADERS)
        self._from_others = _HeaderNames([*ADDRESS_HEADERS, *identity_headers])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request as if the client had sent it here."""
        if scope["type"] in {"http", "websocket"} and _SCOPE_KEY not in scope:
            scope[_SCOPE_KEY] = True
            peer = self._trusted.peer(scope.get("client"))
            if peer.is_trusted:
                self._believe(scope)
            else:
                removed = self._from_others.among(scope["headers"])
                if removed:
                    scope["headers"] = _without(scope["headers"], removed)
        await self._app(scope, receive, send)

    def _believe(self, scope: Scope) -> None:
        removed = self._from_trusted.among(scope["headers"])
        if not removed:
            return
        said = tuple([pair for pair in scope["headers"] if pair[0] in self._believed])
        scope["headers"] = _without(scope["headers"], removed)
        if not said:
            return
        is_short = sum([len(value) for _, value in said]) <= _LONGEST_REMEMBERED
        find = self._remember_origin if is_short else self._find_origin
        origin = find(said, is_websocket=scope["type"] == "websocket")
        if origin.client is not None:
            scope["client"] = origin.client
        if origin.scheme is not None:
            scope["scheme"] = origin.scheme
        if origin.host is not None or origin.port is not None:
            scope["headers"] = _addressed(scope, origin)

    def _find_origin(self, said: Sequence[RawHeader], *, is_websocket: bool) -> Origin:
        values: dict[bytes, list[bytes]] = {}
        for name, value in said:
            values.setdefault(name, []).append(value)
        forwarded = values.get(b"forwarded")
        words = read_x_forwarded(values) if forwarded is None else read_forwarded(forwarded)
        return find_origin(words, self._trusted, is_websocket=is_websocket)


def _checked(headers: Sequence[str]) -> list[bytes]:
    names = [name.lower() for name in headers]
    unknown = [name for name in names if name not in {FORWARDED, *X_FORWARDED}]
    if unknown:
        message = (
            f"{unknown[0]!r} cannot be believed. "
            f"The headers that can are {FORWARDED}, or some of {', '.join(X_FORWARDED)}."
        )
        raise ConfigurationError(message)
    if FORWARDED in names and len(names) > 1:
        message = (
            "Either 'forwarded' is believed or 'x-forwarded-*': the proxies write one of them, "
            "and the client may write the other."
        )
        raise ConfigurationError(message)
    return [name.encode("ascii") for name in names]


class _HeaderNames:
    """A set of names of headers, some of which stand for all that begin with them."""

    def __init__(self, names: Iterable[str]) -> None:
        encoded = [name.lower().encode("ascii") for name in names]
        self._exact = frozenset(name for name in encoded if not name.endswith(b"*"))
        self._prefixes = tuple(name[:-1] for name in encoded if name.endswith(b"*"))
        self._verdicts: dict[bytes, bool] = {}

    def among(self, headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
        """Return which of the headers are in the set."""
        known = self._verdicts
        suspects = [name for name, _ in headers if known.get(name, True)]
        return {name for name in suspects if known.get(name) or self._is_listed(name)}

    def _is_listed(self, name: bytes) -> bool:
        # To a WSGI application that is mounted, an underscore and a dash are the same.
        plain = name.lower().replace(b"_", b"-")
        verdict = plain in self._exact or plain.startswith(self._prefixes)
        # Nearly all requests have the same few names; clients may make up any number of others.
        if len(name) <= _LONGEST_REMEMBERED and len(self._verdicts) < _MOST_REMEMBERED:
            self._verdicts[name] = verdict
        return verdict


def _without(
    headers: Iterable[tuple[bytes, bytes]], removed: set[bytes]
) -> list[tuple[bytes, bytes]]:
    return [pair for pair in headers if pair[0] not in removed]


def _addressed(scope: Scope, origin: Origin) -> list[tuple[bytes, bytes]]:
    """Return the headers with the `Host` that the client asked for."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    arrived = next((value for name, value in headers if name == b"host"), b"")
    authority = replace_authority(
        arrived.decode("latin-1"), host=origin.host, port=origin.port, scheme=scope["scheme"]
    )
    kept = _without(headers, {b"host"})
    return [(b"host", authority.encode("latin-1")), *kept] if authority else kept
