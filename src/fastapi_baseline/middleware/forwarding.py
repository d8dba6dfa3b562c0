"""What proxies say about the requests that they pass on: `X-Forwarded-*`, or `Forwarded` (RFC 7239).

Every proxy adds its word on the right, so what stands to the left of the first word that comes from
nobody trusted may have been made up by the client.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from fastapi_baseline.errors import ConfigurationError

UNIX = "unix"
"""The name of peers that reach the server over a Unix socket, and have no address."""

_NAMED = {
    "loopback": ("127.0.0.0/8", "::1/128"),
    "private": (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918
        *("100.64.0.0/10", "169.254.0.0/16"),  # RFC 6598 and RFC 3927: networks of platforms
        *("fc00::/7", "fe80::/10"),  # RFC 4193 and RFC 4291
    ),
}
_LONGEST_NODE = 64  # an address of IPv6 with its zone, brackets and a port
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_PAIR = re.compile(r'\s*([\w!#$%&\'*+.^`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*)\s*(;|$)', re.ASCII)
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?", re.ASCII)
_BRACKETED = re.compile(r"\[([^\]]*)\](?::(.*))?")
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Node:
    """A peer or a hop: its address (`None` if it has no usable one), and whether it is trusted."""

    host: str | None
    port: int
    is_trusted: bool


class TrustedAddresses:
    """The addresses whose word is believed.

    Each is an address, a network (`10.0.0.0/8`), or a name: `loopback`, `private` (all networks
    that the Internet does not route to) or `unix`, for whoever connects over a Unix socket.

    Raises:
        ConfigurationError: If one of them is none of that.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        self._networks: list[IPv4Network | IPv6Network] = []
        self._unix = Node(host=None, port=0, is_trusted=UNIX in trusted)
        for entry in trusted:
            for text in _NAMED.get(entry, (entry,)):
                if text != UNIX:
                    self._networks.append(_network(text))
        # Proxies are few, and clients often come back.
        self._read = lru_cache(maxsize=4096)(self._read_node)

    def peer(self, client: Sequence[str | int] | None) -> Node:
        """Return who is at the other end of the connection, given what the server says."""
        if client is None or not client[0]:
            return self._unix
        return self.node(str(client[0]))

    def node(self, text: str) -> Node:
        """Return what a node identifier means (RFC 7239, section 6), also without its brackets."""
        if len(text) > _LONGEST_NODE:
            return Node(host=None, port=0, is_trusted=False)
        return self._read(text)

    def _read_node(self, text: str) -> Node:
        host, port = _split_port(text)
        try:
            address = ip_address(host)
        except ValueError:
            return Node(host=None, port=0, is_trusted=False)
        if isinstance(address, IPv6Address):
            # A socket for both families shows an address of IPv4 this way.
            address = address.ipv4_mapped or address
        return Node(str(address), port, any(address in network for network in self._networks))


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        if text == "*":
            message = (
                "'*' would believe every client. Name the proxies: their addresses or networks."
            )
        else:
            message = f"{text!r} is no trusted proxy: {error}."
        raise ConfigurationError(message) from None


def _split_port(text: str) -> tuple[str, int]:
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed is not None:
        host, port = bracketed[1], bracketed[2] or ""
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    # A port that is hidden (RFC 7239, section 6.3) leaves the address as good as it was.
    return host, int(port) if _PORT.fullmatch(port) else 0


@dataclass(frozen=True, slots=True)
class Words:
    """What all proxies said, each list from the farthest to the nearest."""

    nodes: Sequence[str]
    schemes: Sequence[str] = ()
    hosts: Sequence[str] = ()
    ports: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """What the client did, as far as trusted proxies say so; `None` where they do not."""

    client: tuple[str, int] | None
    scheme: str | None
    host: str | None
    port: str | None


def read_x_forwarded(values: Mapping[bytes, Sequence[bytes]]) -> Words:
    """Return what headers of the family `X-Forwarded-*` say, given by their lower-case names."""
    return Words(
        nodes=_items(values.get(b"x-forwarded-for", ())),
        schemes=_items(values.get(b"x-forwarded-proto", ())),
        hosts=_items(values.get(b"x-forwarded-host", ())),
        ports=_items(values.get(b"x-forwarded-port", ())),
    )


def read_forwarded(values: Sequence[bytes]) -> Words:
    """Return what `Forwarded` headers say.

    Elements are split at every comma, also inside of quotes: what a client leaves open must not
    swallow what a proxy adds.
    """
    elements = [_pairs(item) for item in _items(values)]
    return Words(
        nodes=[element.get("for", "") for element in elements],
        schemes=[element.get("proto", "") for element in elements],
        hosts=[element.get("host", "") for element in elements],
    )


def _items(values: Sequence[bytes]) -> list[str]:
    if not values:
        return []
    return [item.strip() for item in b",".join(values).decode("latin-1").split(",")]


def _pairs(element: str) -> dict[str, str]:
    """Return the parameters of an element, or nothing if it is not written as one."""
    found: dict[str, str] = {}
    position = 0
    while position < len(element):
        match = _PAIR.match(element, position)
        if match is None or match[1].lower() in found:
            return {}
        value = match[2]
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        found[match[1].lower()] = value
        position = match.end()
    return found


def find_origin(words: Words, trusted: TrustedAddresses, *, is_websocket: bool) -> Origin:
    """Return what the client did, as the farthest proxy says that is trusted all the way.

    The client is the first address from the right that is not trusted, or the leftmost if all are.
    A hop that is unknown or hidden ends the search: the client is then the last one that is known.
    """
    client: tuple[str, int] | None = None
    passed = 0
    last = len(words.nodes) - 1
    for text in reversed(words.nodes):
        node = trusted.node(text)
        if node.host is None:
            break
        client = (node.host, node.port)
        if not node.is_trusted or passed == last:
            break
        passed += 1
    scheme = _said(words.schemes, passed).lower()
    if scheme not in _SCHEMES:
        scheme = None
    elif is_websocket:
        scheme = _SCHEMES[scheme]
    host = _HOST.fullmatch(_said(words.hosts, passed))
    port = _PORT.fullmatch(_said(words.ports, passed))
    return Origin(
        client=client,
        scheme=scheme,
        host=host[0] if host else None,
        port=port[0] if port else None,
    )


def _said(values: Sequence[str], passed: int) -> str:
    """Return the word that belongs to the hop; a proxy may replace a list instead of adding."""
    return values[-1 - min(passed, len(values) - 1)] if values else ""


def replace_authority(authority: str, *, host: str | None, port: str | None, scheme: str) -> str:
    """Return the `Host` that the client asked for, given the one that arrived."""
    match = _HOST.fullmatch(host or authority)
    if match is None or (host is None and port is None):
        return authority
    name: str = match[1]
    number = match[2] if host is not None and match[2] else port
    standard = "443" if scheme in {"https", "wss"} else "80"
    return name if number is None or number == standard else f"{name}:{number}"
