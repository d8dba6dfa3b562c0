import contextlib
import socket
import ssl
import threading
from base64 import b64decode
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_string
from email.policy import default as readable
from ipaddress import ip_address
from pathlib import Path
from typing import IO

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fastapi_baseline.auth.users.errors import MailNotSentError
from fastapi_baseline.auth.users.mail import Letter
from fastapi_baseline.auth.users.smtp import SmtpMailSender, SmtpServer
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.testing import ManualClock

SENDER = "Shop <shop@example.com>"
LETTER = Letter(
    to="anna@example.com", subject="Gr\u00fc\u00dfe", text="One\n\nhttps://x.example.com/#abc\n"
)


@dataclass
class Server:
    """A mail server that takes everything, and notes what it was told."""

    context: ssl.SSLContext
    offers_encryption: bool = True
    is_silent: bool = False
    refuses: bool = False
    farewell: bytes = b"221 bye\r\n"
    lines: list[str] = field(default_factory=list[str])
    encrypted_from: int | None = None
    port: int = 0

    def talk(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        stream = connection.makefile("rb")
        if not self.is_silent:
            connection.sendall(b"220 ready\r\n")
        while line := stream.readline().decode().strip():
            self.lines.append(line)
            verb = line.split()[0].upper()
            connection.sendall(self._answer(verb))
            if verb == "STARTTLS":
                stream.close()
                connection = self.context.wrap_socket(connection, server_side=True)
                stream = connection.makefile("rb")
                self.encrypted_from = len(self.lines)
            elif verb == "DATA":
                self.lines.append(_read_text(stream))
                connection.sendall(b"250 taken\r\n")
        stream.close()
        connection.close()

    def _answer(self, verb: str) -> bytes:
        if verb == "EHLO":
            starttls = b"250-STARTTLS\r\n" if self.offers_encryption else b""
            return b"250-here\r\n" + starttls + b"250 AUTH PLAIN\r\n"
        if verb == "QUIT":
            return self.farewell
        if verb == "RCPT" and self.refuses:
            return b"550 anna@example.com is unknown here\r\n"
        answers = {"AUTH": b"235 ok\r\n", "DATA": b"354 go\r\n", "STARTTLS": b"220 go\r\n"}
        return answers.get(verb, b"250 ok\r\n")

    def serve(self, listener: socket.socket, *, is_encrypted: bool) -> None:
        with contextlib.suppress(OSError):  # Whoever does not trust it hangs up.
            connection, _ = listener.accept()
            with connection:
                if is_encrypted:
                    connection = self.context.wrap_socket(connection, server_side=True)
                with connection:
                    self.talk(connection)

    def address(self, host: str = "127.0.0.1") -> SmtpServer:
        return SmtpServer(
            host=host,
            port=self.port,
            is_encrypted_from_start=False,
            user="shop",
            password="s3cret",
        )


def _read_text(stream: IO[bytes]) -> str:
    lines: list[bytes] = []
    while (line := stream.readline()) != b".\r\n":
        lines.append(line)
    return b"".join(lines).decode()


class RemoteServer(SmtpServer):
    @property
    def is_on_this_machine(self) -> bool:
        return False


def _certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2200, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return _certificate(tmp_path, "127.0.0.1")


@pytest.fixture
def server(certificate: Path) -> Server:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return Server(context)


@contextmanager
def listening(server: Server, *, is_encrypted: bool = False) -> Generator[None]:
    """Answer one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        listener.settimeout(10)
        thread = threading.Thread(
            target=server.serve, args=[listener], kwargs={"is_encrypted": is_encrypted}
        )
        thread.start()
        try:
            yield
        finally:
            thread.join()


def sender_to(address: SmtpServer, trusted: Path | None = None) -> SmtpMailSender:
    return SmtpMailSender(
        address,
        sender=SENDER,
        clock=ManualClock(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        make_context=lambda: ssl.create_default_context(cafile=trusted),
    )


async def test_a_letter_arrives_encrypted_with_all_that_it_says(
    server: Server, certificate: Path
) -> None:
    with listening(server):
        await sender_to(server.address(), certificate).send(LETTER)

    verbs = [line.split()[0].upper() for line in server.lines]
    assert verbs[: server.encrypted_from] == ["EHLO", "STARTTLS"]
    assert b64decode(server.lines[verbs.index("AUTH")].split()[2]) == b"\0shop\0s3cret"
    letter = message_from_string(server.lines[verbs.index("DATA") + 1], policy=readable)
    assert letter["From"] == SENDER
    assert letter["To"] == "anna@example.com"
    assert letter["Subject"] == "Gr\u00fc\u00dfe"
    assert letter["Date"] == "Fri, 02 Jan 2026 03:04:05 +0000"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Message-ID"].endswith("@example.com>")
    assert "https://x.example.com/#abc" in letter.get_content()


async def test_a_connection_may_be_encrypted_from_the_start(
    server: Server, certificate: Path
) -> None:
    with listening(server, is_encrypted=True):
        url = f"smtps://127.0.0.1:{server.port}"
        await sender_to(SmtpServer.from_url(url), certificate).send(LETTER)

    verbs = [line.split()[0].upper() for line in server.lines]
    assert verbs[:2] == ["EHLO", "MAIL"]


async def test_html_comes_beside_the_text(server: Server, certificate: Path) -> None:
    both = Letter(to="anna@example.com", subject="Hello", text="One", html="<p>One</p>")
    with listening(server):
        await sender_to(server.address(), certificate).send(both)

    letter = message_from_string(server.lines[-2], policy=readable)
    kinds = [part.get_content_type() for part in letter.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]


async def test_a_server_that_nobody_vouches_for_gets_nothing(server: Server) -> None:
    with listening(server), pytest.raises(MailNotSentError):
        await sender_to(server.address()).send(LETTER)

    assert "AUTH" not in str(server.lines)
    assert "DATA" not in server.lines


async def test_a_server_with_the_certificate_of_another_gets_nothing(
    server: Server, tmp_path: Path
) -> None:
    others = _certificate(tmp_path, "mail.example.com")
    server.context.load_cert_chain(others)
    with listening(server), pytest.raises(MailNotSentError):
        await sender_to(server.address(), others).send(LETTER)

    assert "DATA" not in server.lines


async def test_a_server_elsewhere_that_does_not_encrypt_gets_nothing(
    server: Server, certificate: Path
) -> None:
    server.offers_encryption = False
    with listening(server):
        remote = RemoteServer(host="127.0.0.1", port=server.port, is_encrypted_from_start=False)
        with pytest.raises(MailNotSentError):
            await sender_to(remote, certificate).send(LETTER)

    assert [line.split()[0].upper() for line in server.lines] == ["EHLO"]


async def test_a_server_on_this_machine_need_not_encrypt(server: Server) -> None:
    server.offers_encryption = False
    with listening(server):
        url = f"smtp://127.0.0.1:{server.port}"
        await sender_to(SmtpServer.from_url(url)).send(LETTER)

    assert "DATA" in str(server.lines).upper()


async def test_a_server_that_refuses_is_an_error_that_names_nobody(
    server: Server, certificate: Path
) -> None:
    server.refuses = True
    with listening(server), pytest.raises(MailNotSentError) as raised:
        await sender_to(server.address(), certificate).send(LETTER)

    assert "anna" not in str(raised.value)


async def test_a_letter_that_was_taken_is_sent_however_the_server_takes_leave(
    server: Server, certificate: Path
) -> None:
    server.farewell = b"421 what?\r\n"
    with listening(server):
        await sender_to(server.address(), certificate).send(LETTER)

    assert server.lines[-1].upper() == "QUIT"


async def test_a_server_that_says_nothing_is_given_up(server: Server) -> None:
    server.is_silent = True
    with listening(server):
        impatient = SmtpMailSender(
            server.address(), sender=SENDER, timeout=timedelta(milliseconds=50)
        )
        with pytest.raises(MailNotSentError):
            await impatient.send(LETTER)


async def test_nobody_at_the_address_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(MailNotSentError):
        await sender_to(SmtpServer.from_url(f"smtp://127.0.0.1:{port}")).send(LETTER)


@pytest.mark.parametrize(
    "letter",
    [
        Letter(to="a@example.com\r\nBcc: b@example.com", subject="Hello", text=""),
        Letter(to="a@example.com", subject="Hello\nBcc: b@example.com", text=""),
    ],
)
async def test_no_letter_adds_a_header(letter: Letter) -> None:
    with pytest.raises(ValueError, match=r"linefeed|carriage"):
        await sender_to(SmtpServer.from_url("smtp://127.0.0.1:1")).send(letter)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtps://mail.example.com", ("mail.example.com", 465, True, None, None)),
        ("smtp://mail.example.com", ("mail.example.com", 587, False, None, None)),
        ("smtp://u%40x:p%2Fw@[::1]:25", ("::1", 25, False, "u@x", "p/w")),
    ],
)
def test_a_url_names_the_server(
    url: str, expected: tuple[str, int, bool, str | None, str | None]
) -> None:
    server = SmtpServer.from_url(url)

    assert (
        server.host,
        server.port,
        server.is_encrypted_from_start,
        server.user,
        server.password,
    ) == expected


@pytest.mark.parametrize(
    "url", ["", "mail.example.com", "http://s3cret@x", "smtp://:s3cret@", "smtp://u:s3cret@x:port"]
)
def test_what_is_no_such_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="MAIL__SMTP_URL") as raised:
        SmtpServer.from_url(url)

    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
    ],
)
def test_loopback_is_this_machine(host: str, *, is_here: bool) -> None:
    server = SmtpServer(host=host, port=25, is_encrypted_from_start=False)

    assert server.is_on_this_machine is is_here


def test_a_server_does_not_show_its_password() -> None:
    assert "s3cret" not in repr(SmtpServer.from_url("smtp://u:s3cret@mail.example.com"))
