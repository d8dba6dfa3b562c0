"""Which URLs an issuer may have: those behind TLS, and on this machine others."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi_baseline.errors import ConfigurationError


def is_safe_address(url: str) -> bool:
    """Return whether nobody in between can answer for a URL: TLS, or the machine itself.

    It must have a host, and neither a user nor a fragment (RFC 8414, section 2).
    """
    if " " in url or not url.isprintable():
        # `urlsplit` drops line breaks and tabs without a word.
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname
        parts.port  # noqa: B018 -- raises if it is no number
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def check_address(url: str, *, what: str) -> None:
    """Refuse a URL at which somebody in between could answer; `what` begins the message.

    Raises:
        ConfigurationError: If it is one.
    """
    if not is_safe_address(url):
        raise ConfigurationError(f"{what} must be a URL with https://, or http:// on loopback.")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
