from collections.abc import Sequence

import pytest
from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline import ConfigurationError
from fastapi_baseline.middleware.trusted_proxies import (
    IDENTITY_HEADERS,
    X_FORWARDED,
    TrustedProxiesMiddleware,
)

Pairs = Sequence[tuple[bytes, bytes]]
PROXY = ("10.0.0.1", 4000)
STRANGER = ("203.0.113.9", 4000)


async def _seen(
    headers: Pairs,
    *,
    client: tuple[str, int] | None = PROXY,
    trusted: Sequence[str] = ("10.0.0.0/8",),
    believed: Sequence[str] = X_FORWARDED[:2],
    identity_headers: Sequence[str] = IDENTITY_HEADERS,
    kind: str = "http",
) -> Scope:
    seen: Scope = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(scope)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scheme = "ws" if kind == "websocket" else "http"
    scope: Scope = {"type": kind, "client": client, "scheme": scheme, "headers": list(headers)}
    layer = TrustedProxiesMiddleware(
        app, trusted=trusted, headers=believed, identity_headers=identity_headers
    )
    await layer(scope, receive, send)
    return seen


async def test_believes_a_trusted_proxy() -> None:
    seen = await _seen(
        [(b"x-forwarded-for", b"203.0.113.7"), (b"x-forwarded-proto", b"https"), (b"host", b"a")]
    )

    assert seen["client"] == ("203.0.113.7", 0)
    assert seen["scheme"] == "https"
    assert seen["headers"] == [(b"host", b"a")]


async def test_joins_headers_that_come_in_several_lines() -> None:
    seen = await _seen([(b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"203.0.113.7")])

    assert seen["client"] == ("203.0.113.7", 0)


async def test_believes_nobody_else_and_hides_what_they_say() -> None:
    told = [(name.encode(), b"https") for name in (*X_FORWARDED, "forwarded", "x-real-ip")]

    seen = await _seen([*told, (b"accept", b"*/*")], client=STRANGER)

    assert seen["client"] == STRANGER
    assert seen["scheme"] == "http"
    assert seen["headers"] == [(b"accept", b"*/*")]


async def test_trusts_nobody_if_nobody_is_named() -> None:
    seen = await _seen([(b"x-forwarded-for", b"1.1.1.1")], trusted=())

    assert seen["client"] == PROXY
    assert seen["headers"] == []


@pytest.mark.parametrize(
    "name",
    [
        b"x-forwarded-user",
        b"X-Forwarded-User",
        b"x_forwarded_user",
        b"x-auth-request-email",
        b"remote-user",
        b"x-ssl-client-dn",
        b"tailscale-user-login",
    ],
)
async def test_takes_who_signed_in_only_from_a_trusted_proxy(name: bytes) -> None:
    pair = (name, b"ann")

    from_proxy = await _seen([pair])
    from_stranger = await _seen([pair], client=STRANGER)

    assert from_proxy["headers"] == [pair]
    assert from_stranger["headers"] == []


async def test_hides_headers_however_many_others_came_before() -> None:
    seen: list[list[tuple[bytes, bytes]]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["headers"])

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError(message)

    layer = TrustedProxiesMiddleware(app, trusted=[])
    many = [(f"x-{number}".encode(), b"") for number in range(2_000)]
    for headers in (many, [(b"x-forwarded-user", b"ann"), (b"x-2000", b""), (b"y" * 70, b"")]):
        await layer({"type": "http", "client": None, "headers": headers}, receive, send)

    assert seen == [many, [(b"x-2000", b""), (b"y" * 70, b"")]]


@pytest.mark.parametrize("client", [PROXY, STRANGER], ids=["proxy", "stranger"])
async def test_keeps_what_comes_in_several_lines_and_hides_nothing_else(
    client: tuple[str, int],
) -> None:
    lines = [(b"if-match", b'"7"'), (b"if-match", b'"1"'), (b"accept", b"*/*")]

    seen = await _seen([*lines, (b"x-real-ip", b"1.1.1.1")], client=client)

    assert seen["headers"] == lines


async def test_hides_headers_that_the_service_names() -> None:
    headers = [(b"x-staff", b"yes"), (b"x-forwarded-user", b"ann")]

    seen = await _seen(headers, client=STRANGER, identity_headers=["X-Staff"])

    assert seen["headers"] == [(b"x-forwarded-user", b"ann")]


@pytest.mark.parametrize(
    "name", ["forwarded", "x-forwarded-host", "x-real-ip", "cf-connecting-ip", "x_forwarded_for"]
)
async def test_hides_what_a_trusted_proxy_may_only_have_passed_on(name: str) -> None:
    seen = await _seen([(name.encode(), b"for=1.1.1.1;proto=https;host=evil.example")])

    assert seen["client"] == PROXY
    assert seen["scheme"] == "http"
    assert seen["headers"] == []


async def test_does_not_mix_what_the_proxy_says_with_what_the_client_says() -> None:
    headers = [
        (b"forwarded", b"for=1.1.1.1;proto=http;host=evil.example"),
        (b"x-forwarded-for", b"203.0.113.7"),
        (b"x-forwarded-proto", b"https"),
    ]

    seen = await _seen(headers)
    other_way = await _seen(headers, believed=["forwarded"])

    assert (seen["client"], seen["scheme"]) == (("203.0.113.7", 0), "https")
    assert (other_way["client"], other_way["scheme"]) == (("1.1.1.1", 0), "http")


async def test_reads_the_standard_header_if_told_to() -> None:
    header = b'for="[2001:db8::7]:4711";proto=https;host=shop.example'

    seen = await _seen([(b"host", b"app:8000"), (b"forwarded", header)], believed=["Forwarded"])

    assert seen["client"] == ("2001:db8::7", 4711)
    assert seen["scheme"] == "https"
    assert seen["headers"] == [(b"host", b"shop.example")]


async def test_takes_host_and_port_if_told_to() -> None:
    headers = [
        (b"host", b"app:8000"),
        (b"x-forwarded-host", b"shop.example"),
        (b"x-forwarded-port", b"8443"),
        (b"x-forwarded-proto", b"https"),
    ]

    seen = await _seen(headers, believed=X_FORWARDED)

    assert seen["headers"] == [(b"host", b"shop.example:8443")]


async def test_leaves_a_missing_host_missing() -> None:
    seen = await _seen([(b"x-forwarded-port", b"443")], believed=X_FORWARDED)

    assert seen["headers"] == []


async def test_works_for_websockets() -> None:
    headers = [(b"x-forwarded-for", b"203.0.113.7"), (b"x-forwarded-proto", b"https")]

    seen = await _seen(headers, kind="websocket")

    assert seen["client"] == ("203.0.113.7", 0)
    assert seen["scheme"] == "wss"


async def test_works_behind_a_unix_socket() -> None:
    seen = await _seen(
        [(b"x-forwarded-for", b"203.0.113.7")], client=None, trusted=["unix", "10.0.0.0/8"]
    )

    assert seen["client"] == ("203.0.113.7", 0)


async def test_keeps_the_proxy_as_the_client_if_it_says_nothing() -> None:
    seen = await _seen([(b"accept", b"*/*")])

    assert seen["client"] == PROXY
    assert seen["headers"] == [(b"accept", b"*/*")]


async def test_lets_the_outermost_layer_count() -> None:
    seen: Scope = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(scope)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError(message)

    inner = TrustedProxiesMiddleware(app, trusted=[])
    outer = TrustedProxiesMiddleware(inner, trusted=["10.0.0.0/8"])
    headers = [(b"x-forwarded-for", b"203.0.113.7"), (b"x-forwarded-user", b"ann")]
    await outer({"type": "http", "client": PROXY, "headers": headers}, receive, send)

    assert seen["client"] == ("203.0.113.7", 0)
    assert seen["headers"] == [(b"x-forwarded-user", b"ann")]


async def test_passes_a_lifespan_through() -> None:
    reached: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["type"])

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError(message)

    await TrustedProxiesMiddleware(app, trusted=[])({"type": "lifespan"}, receive, send)

    assert reached == ["lifespan"]


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (["x-real-ip"], "cannot be believed"),
        (["forwarded", "x-forwarded-for"], "Either"),
    ],
)
async def test_refuses_to_believe_what_is_not_safe(headers: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        await _seen([], believed=headers)
