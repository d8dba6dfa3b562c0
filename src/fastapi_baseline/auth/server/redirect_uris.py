"""Where codes may be sent: exactly where a client has said when it was added."""

import re
from urllib.parse import parse_qsl, urlsplit

MAX_URI_LENGTH = 2000

# No user, and nothing else that parsers disagree about: the host ends where the port, the path or
# the query begins.
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::[0-9]{1,5})?([/?][!-~]*)?")
_PRIVATE_USE = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_FORBIDDEN = frozenset('#*\\<>"`{}|^')
_OURS = frozenset({"code", "error", "error_description", "error_uri", "iss", "state"})
_LOCAL_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


def find_any_port(uri: str) -> str | None:
    """Return the address of an app on a loopback interface without its port, or `None`.

    An app cannot know before which port will be free (RFC 8252, section 7.3). `localhost` is no
    such address: it may be another machine (section 8.3).
    """
    found = _LOOPBACK.fullmatch(uri)
    return None if found is None else f"{found[1]}{found[2] or ''}"


def find_fault(uri: str) -> str | None:
    """Return why codes may not be sent there, or `None` if they may."""
    if len(uri) > MAX_URI_LENGTH or not uri.isascii() or not uri.isprintable() or " " in uri:
        return "is too long, or has characters that no URI has"
    if not _FORBIDDEN.isdisjoint(uri):
        return "has a fragment, a wildcard, or characters that no URI has"
    try:
        parts = urlsplit(uri)
        port, host = parts.port, parts.hostname
    except ValueError:
        return "is no URI"
    if uri.startswith(("http://", "https://")):
        return _find_fault_of_web(host, scheme=parts.scheme, netloc=parts.netloc, port=port) or (
            _find_fault_of_rest(parts.path, parts.query)
        )
    scheme, separator, rest = uri.partition(":")
    if separator and rest.startswith("/") and _PRIVATE_USE.fullmatch(scheme):
        # The name of a domain in reverse (RFC 8252, section 7.1): two apps have not the same.
        return _find_fault_of_rest(parts.path, parts.query)
    return "must begin with https://, http://127.0.0.1, or a scheme of an app (com.example.app:/)"


def _find_fault_of_web(
    host: str | None, *, scheme: str, netloc: str, port: int | None
) -> str | None:
    if not host or "@" in netloc:
        return "has no host, or a user"
    if netloc != netloc.lower() or netloc.endswith(":") or port == 0:
        # To the letter is to the letter: browsers would change it.
        return "has a host in capitals, or an empty port"
    if host != "::1" and not _HOST.fullmatch(host):
        return "has a host that is none"
    if scheme == "http" and host not in _LOCAL_HOSTS:
        return "needs https"
    return None


def _find_fault_of_rest(path: str, query: str) -> str | None:
    if any(part in {".", ".."} for part in path.lower().replace("%2e", ".").split("/")):
        return "has . or .. in its path"
    if any(name in _OURS for name, _ in parse_qsl(query, keep_blank_values=True)):
        return "has parameters that answers have"
    return None
