"""Which names the service answers to."""

import re
from collections.abc import Collection, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_baseline.errors import ConfigurationError, InvalidRequestError
from fastapi_baseline.middleware.refusal import refuse

_NAME = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]", re.ASCII)
_AUTHORITY = re.compile(
    rb"([a-z0-9_-][a-z0-9._-]{0,252}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{0,5})?", re.ASCII
)


class UntrustedHostError(InvalidRequestError):
    """The request is for a host that the service does not answer to."""

    code = "untrusted_host"
    default_message = "The service does not answer to this host."


class TrustedHostsMiddleware:
    """Refuse requests for other hosts with 400, before anything builds a link from the name.

    `*.example.com` stands for all names below `example.com`, and not for itself; a single `*` for
    any. Ports do not matter. A request that names no host, two hosts or none that can be read is
    refused, too (RFC 9112, section 3.2).

    Raises:
        ConfigurationError: If there is no host, or one is not a plain name.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Sequence[str], exempt_paths: Collection[str] = ()
    ) -> None:
        """Wrap `app`; `exempt_paths`, such as probes, are answered under any name."""
        if not hosts:
            raise ConfigurationError("No host is trusted. Name one, or leave this layer out.")
        names = [host.lower() for host in hosts]
        for name in names:
            if name != "*" and not _NAME.fullmatch(name):
                message = f"{name!r} is no trusted host: write a name, without scheme and port."
                raise ConfigurationError(message)
        self._app = app
        self._any = "*" in names
        self._exact = frozenset(name.encode("ascii") for name in names if name[0] != "*")
        self._endings = tuple(name[1:].encode("ascii") for name in names if name.startswith("*."))
        self._exempt_paths = frozenset(exempt_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if (
            self._any
            or scope["type"] not in {"http", "websocket"}
            or self._is_trusted([value for name, value in scope["headers"] if name == b"host"])
            or scope["path"] in self._exempt_paths
        ):
            await self._app(scope, receive, send)
        else:
            await refuse(UntrustedHostError(), scope=scope, receive=receive, send=send)

    def _is_trusted(self, offered: Sequence[bytes]) -> bool:
        if len(offered) != 1:
            return False
        if offered[0] in self._exact:
            return True
        match = _AUTHORITY.fullmatch(offered[0].lower())
        if match is None:
            return False
        name: bytes = match[1].rstrip(b".")
        return name in self._exact or name.endswith(self._endings)
