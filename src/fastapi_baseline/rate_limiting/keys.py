"""Who is counted: what tells callers apart, and what of it goes into the names of counters."""

from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address

from starlette.requests import HTTPConnection
from starlette.types import Scope

from fastapi_baseline import context
from fastapi_baseline.errors import ConfigurationError

UNKNOWN = "unknown"
"""What stands for all callers who have no address, such as those on a Unix socket."""

_DIGEST_SIZE = 8
# What one customer of a network operator has at the least; whoever has it has all of its addresses.
_IPV6_NETWORK = 64
_IPV6_REST = 128 - _IPV6_NETWORK
_MOST_REMEMBERED = 4_096


def get_client_address(request: HTTPConnection) -> str:
    """Return the address that a request came from, as its server and trusted proxies say it.

    An IPv6 address stands for its network of 64 bits, all of which one caller may use. Callers who
    have no address are one caller.
    """
    return find_address(request.scope)


def get_caller(request: HTTPConnection) -> str:
    """Return who asks: the principal of the request's context with the tenant, or the address.

    Raises:
        ConfigurationError: If the principal has no text of its own.
    """
    current = context.current()
    if current is None or current.principal is None:
        return find_address(request.scope)
    return f"principal:{current.tenant or ''}:{text_of(current.principal)}"


def text_of(caller: object) -> str:
    """Return the text that tells a caller apart from others.

    Raises:
        ConfigurationError: If it has none; its place in memory is another one for each request.
    """
    if isinstance(caller, str):
        return caller
    kind = type(caller)
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        raise ConfigurationError(
            f"Callers are told apart by their text, and {kind.__name__} has none: give it a "
            "__str__, or limit by an identifier."
        )
    return str(caller)


def find_address(scope: Scope) -> str:
    """Return the address in a scope, or what stands for all who have none."""
    client = scope.get("client")
    return _network_of(client[0]) if client and client[0] else UNKNOWN


@lru_cache(maxsize=_MOST_REMEMBERED)
def _network_of(host: str) -> str:
    if ":" not in host:
        return host
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    network = IPv6Address(int(address) >> _IPV6_REST << _IPV6_REST)
    return f"{network}/{_IPV6_NETWORK}"


# The callers of a service are mostly those of a moment ago.
@lru_cache(maxsize=_MOST_REMEMBERED)
def digest(text: str) -> str:
    """Return what stands for a text in the name of a counter: 16 characters that do not tell it."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_SIZE).hexdigest()


def counter_key(caller: str, what: str) -> str:
    """Return the key of what a caller uses; all keys of one caller share a slot of a cluster."""
    return f"{{{digest(caller)}}}:{what}"
