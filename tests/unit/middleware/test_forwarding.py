import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_baseline import ConfigurationError
from fastapi_baseline.middleware.forwarding import (
    Origin,
    TrustedAddresses,
    Words,
    find_origin,
    read_forwarded,
    read_x_forwarded,
    replace_authority,
)

TRUSTED = TrustedAddresses(["10.0.0.0/8", "2001:db8:ffff::/48"])


def _client(x_forwarded_for: str) -> tuple[str, int] | None:
    words = read_x_forwarded({b"x-forwarded-for": [x_forwarded_for.encode("latin-1")]})
    return find_origin(words, TRUSTED, is_websocket=False).client


def _origin(forwarded: str) -> Origin:
    words = read_forwarded([forwarded.encode("latin-1")])
    return find_origin(words, TRUSTED, is_websocket=False)


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("10.0.0.0/8", "10.200.3.4"),
        ("10.0.0.0/8", "::ffff:10.0.0.1"),
        ("2001:db8::1", "2001:0db8:0000:0000:0000:0000:0000:0001"),
        ("2001:db8::/32", "2001:db8:1234::9"),
        ("fe80::/10", "fe80::1%eth0"),
        ("loopback", "127.0.0.1"),
        ("loopback", "::1"),
        ("private", "172.31.255.255"),
        ("private", "192.168.1.1"),
        ("private", "100.64.0.1"),
        ("private", "169.254.1.1"),
        ("private", "fd00::1"),
    ],
)
def test_trusts_what_is_named(entry: str, address: str) -> None:
    assert TrustedAddresses([entry]).peer((address, 5000)).is_trusted


@pytest.mark.parametrize(
    "address",
    ["11.0.0.1", "172.32.0.1", "2001:db9::1", "testclient", "10.0.0.1.example.com", "", "x" * 5000],
)
def test_trusts_nobody_else(address: str) -> None:
    trusted = TrustedAddresses(["private", "2001:db8::/32"])

    assert not trusted.peer((address, 5000)).is_trusted


@pytest.mark.parametrize("client", [None, ("", 0)])
def test_trusts_a_unix_socket_only_by_its_name(client: tuple[str, int] | None) -> None:
    assert TrustedAddresses(["unix"]).peer(client).is_trusted
    assert not TrustedAddresses(["private", "loopback"]).peer(client).is_trusted


@pytest.mark.parametrize("entry", ["proxy.internal", "10.0.0.1/8", "300.1.1.1", "", "10.0.0.0/33"])
def test_refuses_to_trust_what_is_no_address(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="no trusted proxy"):
        TrustedAddresses([entry])


def test_refuses_to_trust_everybody() -> None:
    with pytest.raises(ConfigurationError, match="would believe every client"):
        TrustedAddresses(["*"])


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("203.0.113.7", ("203.0.113.7", 0)),
        ("203.0.113.7:4711", ("203.0.113.7", 4711)),
        ("1.1.1.1, 203.0.113.7", ("203.0.113.7", 0)),
        ("1.1.1.1, 203.0.113.7, 10.0.0.2", ("203.0.113.7", 0)),
        ("10.9.9.9, 203.0.113.7,10.0.0.2 , 10.0.0.3", ("203.0.113.7", 0)),
        ("2001:db8::7", ("2001:db8::7", 0)),
        ("[2001:db8::7]", ("2001:db8::7", 0)),
        ("[2001:db8::7]:4711", ("2001:db8::7", 4711)),
        ("::ffff:203.0.113.7", ("203.0.113.7", 0)),
        ("203.0.113.7, 2001:db8:ffff::1", ("203.0.113.7", 0)),
        ("10.0.0.9, 10.0.0.2", ("10.0.0.9", 0)),
        ("203.0.113.7:http", ("203.0.113.7", 0)),
    ],
)
def test_takes_the_rightmost_address_that_is_not_trusted(said: str, client: object) -> None:
    assert _client(said) == client


@pytest.mark.parametrize(
    "said", ["", "unknown", "_hidden", "<script>", "203.0.113.7, ", "[::1", "[::1]x", "é"]
)
def test_does_not_know_a_client_from_what_is_no_address(said: str) -> None:
    assert _client(said) is None


def test_takes_the_last_known_address_where_the_next_one_is_hidden() -> None:
    assert _client("203.0.113.7, _hidden, 10.0.0.2") == ("10.0.0.2", 0)


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("for=203.0.113.7", ("203.0.113.7", 0)),
        ('For="203.0.113.7:4711"', ("203.0.113.7", 4711)),
        ("for=203.0.113.7:4711", ("203.0.113.7", 4711)),
        ('for="[2001:db8::7]"', ("2001:db8::7", 0)),
        ('for="[2001:db8::7]:4711"', ("2001:db8::7", 4711)),
        ('for="203.0.113.7:_port"', ("203.0.113.7", 0)),
        ("for=1.1.1.1, for=203.0.113.7 ;by=10.0.0.2, for=10.0.0.2", ("203.0.113.7", 0)),
        ('for="2\\03.0.113.7"', ("203.0.113.7", 0)),
        ("for=203.0.113.7;secret=x;;", None),
        ("for=unknown", None),
        ("for=_SEVKISEK", None),
        ("for=203.0.113.7;for=10.0.0.1", None),
        ("by=10.0.0.1", None),
        ("203.0.113.7", None),
    ],
)
def test_reads_the_standard_header(said: str, client: object) -> None:
    assert _origin(said).client == client


def test_a_quote_that_the_client_leaves_open_hides_nothing() -> None:
    assert _origin('for="1.1.1.1, for=203.0.113.7').client == ("203.0.113.7", 0)


def test_believes_a_trusted_proxy_that_hides_the_client_about_the_rest() -> None:
    origin = _origin("for=_hidden;proto=https;host=shop.example")

    assert origin == Origin(client=None, scheme="https", host="shop.example", port=None)


def test_takes_scheme_and_host_from_the_hop_of_the_client() -> None:
    origin = _origin(
        "for=9.9.9.9;proto=ftp;host=evil.example, "
        "for=203.0.113.7;proto=https;host=shop.example, "
        "for=10.0.0.2;proto=http;host=internal"
    )

    assert origin == Origin(("203.0.113.7", 0), "https", "shop.example", None)


@pytest.mark.parametrize(
    ("schemes", "expected"),
    [
        (["https"], "https"),
        (["https", "http"], "https"),
        (["gopher", "https", "http"], "https"),
        (["HTTPS"], "https"),
        (["javascript"], None),
        ([""], None),
        ([], None),
    ],
)
def test_lines_schemes_up_with_addresses_from_the_right(
    schemes: list[str], expected: str | None
) -> None:
    words = Words(nodes=["9.9.9.9", "203.0.113.7", "10.0.0.2"], schemes=schemes)

    assert find_origin(words, TRUSTED, is_websocket=False).scheme == expected


@pytest.mark.parametrize(("said", "scheme"), [("https", "wss"), ("http", "ws"), ("wss", "wss")])
def test_names_the_scheme_of_a_websocket(said: str, scheme: str) -> None:
    words = Words(nodes=["203.0.113.7"], schemes=[said])

    assert find_origin(words, TRUSTED, is_websocket=True).scheme == scheme


@pytest.mark.parametrize("host", ["evil.example/path", "a b", "user@host", "x:port", "a\r\nb", "é"])
def test_does_not_believe_a_host_that_is_none(host: str) -> None:
    words = Words(nodes=["203.0.113.7"], hosts=[host])

    assert find_origin(words, TRUSTED, is_websocket=False).host is None


@pytest.mark.parametrize(
    ("host", "port", "scheme", "expected"),
    [
        ("shop.example", None, "https", "shop.example"),
        ("shop.example:8443", None, "https", "shop.example:8443"),
        ("shop.example:8443", "9000", "https", "shop.example:8443"),
        ("shop.example", "443", "https", "shop.example"),
        ("shop.example", "443", "http", "shop.example:443"),
        ("shop.example", "80", "ws", "shop.example"),
        ("[2001:db8::1]", "8443", "https", "[2001:db8::1]:8443"),
        (None, "8443", "https", "app:8443"),
        (None, "443", "wss", "app"),
        (None, None, "https", "app:8000"),
    ],
)
def test_puts_the_host_together(
    host: str | None, port: str | None, scheme: str, expected: str
) -> None:
    assert replace_authority("app:8000", host=host, port=port, scheme=scheme) == expected


def test_leaves_a_host_alone_that_cannot_be_read() -> None:
    assert replace_authority("a b", host=None, port="443", scheme="https") == "a b"


@given(st.lists(st.text(max_size=80), max_size=8))
def test_what_a_client_makes_up_changes_nothing(made_up: list[str]) -> None:
    lines = [text.encode("latin-1", "replace") for text in made_up]
    added = b"203.0.113.7;proto=https, for=10.0.0.2"

    x_forwarded = read_x_forwarded({b"x-forwarded-for": [*lines, b"203.0.113.7, 10.0.0.2"]})
    forwarded = read_forwarded([*lines, b"for=" + added])

    assert find_origin(x_forwarded, TRUSTED, is_websocket=False).client == ("203.0.113.7", 0)
    assert find_origin(forwarded, TRUSTED, is_websocket=False).client == ("203.0.113.7", 0)
    assert find_origin(forwarded, TRUSTED, is_websocket=False).scheme == "https"
