"""Letters by SMTP (RFC 5321), always encrypted, from a worker thread."""

import smtplib
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from ipaddress import ip_address
from typing import Self
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread

from fastapi_baseline.auth.users.errors import MailNotSentError
from fastapi_baseline.auth.users.mail import Letter
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import ConfigurationError

_PORTS = {"smtp": 587, "smtps": 465}
_TIMEOUT = timedelta(seconds=10)
_CONNECTIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """Where a mail server is, and how the service says who it is."""

    host: str
    port: int
    is_encrypted_from_start: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return the server of `smtps://user:password@host:465` or `smtp://host:587`.

        Raises:
            ConfigurationError: If it is no such URL; it is not repeated, since it has a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigurationError("MAIL__SMTP_URL is no URL.") from error
        if parts.scheme not in _PORTS or not parts.hostname:
            message = "MAIL__SMTP_URL must begin with smtps:// or smtp:// and name a host."
            raise ConfigurationError(message)
        return cls(
            host=parts.hostname,
            port=port or _PORTS[parts.scheme],
            is_encrypted_from_start=parts.scheme == "smtps",
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )

    @property
    def is_on_this_machine(self) -> bool:
        """Return whether nobody is between the service and the server."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class SmtpMailSender:
    """Sends each letter over a connection of its own.

    The server's certificate is verified. One that offers no STARTTLS (RFC 3207) gets nothing,
    unless it is on this machine: links in letters are as good as passwords.
    """

    def __init__(
        self,
        server: SmtpServer,
        *,
        sender: str,
        timeout: timedelta = _TIMEOUT,
        clock: Clock | None = None,
        make_context: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        """Send from the address `sender`; give up what takes longer than `timeout`, step by step."""
        self._server = server
        self._sender = sender
        self._timeout_s = timeout.total_seconds()
        self._clock = clock or SystemClock()
        self._make_context = make_context
        self._limiter = anyio.CapacityLimiter(_CONNECTIONS)

    async def send(self, letter: Letter) -> None:
        """Hand a letter to the server.

        Raises:
            MailNotSentError: If it does not take it.
        """
        message = self._compose(letter)
        try:
            await anyio.to_thread.run_sync(
                self._deliver, message, limiter=self._limiter, abandon_on_cancel=True
            )
        except (smtplib.SMTPException, OSError) as error:
            # What the server says may contain the address of the reader: only its kind is told.
            raise MailNotSentError from error

    def _compose(self, letter: Letter) -> EmailMessage:
        # The policy refuses line breaks in headers, so no address or subject adds one.
        message = EmailMessage(policy=SMTP)
        message["From"] = self._sender
        message["To"] = letter.to
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2].rstrip(">"))
        # RFC 3834: no holiday notes, please.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        if letter.html is not None:
            message.add_alternative(letter.html, subtype="html")
        return message

    def _deliver(self, message: EmailMessage) -> None:
        connection = self._connect()
        try:
            if not self._server.is_encrypted_from_start:
                self._encrypt(connection)
            if self._server.user is not None:
                connection.login(self._server.user, self._server.password or "")
            connection.send_message(message)
            # It is taken: whatever goes wrong now, it must not be sent again.
            with suppress(smtplib.SMTPException, OSError):
                connection.quit()
        finally:
            connection.close()

    def _connect(self) -> smtplib.SMTP:
        host, port = self._server.host, self._server.port
        if self._server.is_encrypted_from_start:
            context = self._make_context()
            return smtplib.SMTP_SSL(host, port, timeout=self._timeout_s, context=context)
        return smtplib.SMTP(host, port, timeout=self._timeout_s)

    def _encrypt(self, connection: smtplib.SMTP) -> None:
        connection.ehlo()
        if connection.has_extn("starttls") or not self._server.is_on_this_machine:
            # Raises SMTPNotSupportedError where a server, or whoever is in between, has none.
            connection.starttls(context=self._make_context())
