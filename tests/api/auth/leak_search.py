"""Secrets that are planted in a service, and the search for them in all that it says and keeps."""

import base64
import logging
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

from httpx2 import Response
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import DropTable

from fastapi_baseline.observability import JsonFormatter
from fastapi_baseline.observability.logging.redaction import Redactor
from fastapi_baseline.observability.tracing import RedactingSpanExporter
from fastapi_baseline.persistence import Base

SITE = "https://shop.test"
ENOUGH = 8  # Characters that are nowhere by accident.
# What these say at DEBUG is what is stored.
DATABASE = {"aiosqlite", "sqlalchemy"}


class Lines(logging.Handler):
    """Everything that is logged, with all that belongs to it, before anything is redacted."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.raw: list[str] = []
        self.written: list[str] = []
        self.own: list[str] = []
        self.names: set[str] = set()
        self._formatter = JsonFormatter()

    def emit(self, record: logging.LogRecord) -> None:
        if SITE in record.getMessage() and record.name.startswith("httpx2"):
            # The client of this test, which is no part of the service, says what it asks for.
            return
        trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        self.names.add(record.name)
        said = f"{record.name} {record.getMessage()} {vars(record)!r} {trace}"
        self.raw.append(said)
        self.written.append(self._formatter.format(record))
        if record.name.partition(".")[0] not in DATABASE:
            self.own.append(said)


@contextmanager
def listening(is_heard: Callable[[str], bool] = lambda _name: True) -> Generator[Lines]:
    """Let all that can be said be said by the loggers that are heard, and give what is."""
    lines = Lines()
    root = logging.getLogger()
    names = [name for name in logging.root.manager.loggerDict if is_heard(name)]
    levels = {name: logging.getLogger(name).level for name in (*names, "")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    root.addHandler(lines)
    yield lines
    root.removeHandler(lines)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@dataclass
class Planted:
    """Values that only their owners may see, and those that others are told, but no log is.

    `asked` are what a client or a browser has asked with, and is worth nothing without a cookie: it
    is kept until it is answered, and sent back.
    """

    secrets: dict[str, str] = field(default_factory=dict[str, str])
    asked: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, name: str, value: str) -> str:
        assert len(value) >= ENOUGH, name
        self.secrets[f"{name} {len(self.secrets)}"] = value
        return value

    def add_token(self, name: str, token: str) -> str:
        """Add a token, and the signature of one that has one, which is all that proves it."""
        if token.count(".") == 2:
            self.add(f"signature of {name}", token.rpartition(".")[2])
        return self.add(name, token)

    def add_asked(self, name: str, value: str) -> str:
        assert len(value) >= ENOUGH, name
        self.asked[f"{name} {len(self.asked)}"] = value
        return value

    def add_cookies(self, response: Response) -> None:
        """Add those that an answer sets."""
        for cookie in response.cookies.jar:
            if cookie.value:
                self.add(f"cookie {cookie.name}", cookie.value)

    def find_in(self, haystack: str | bytes, *, with_asked: bool = False) -> list[str]:
        """Return the names of those that are in a text, as they are or encoded."""
        content = (
            haystack.encode("utf-8", "surrogatepass") if isinstance(haystack, str) else haystack
        )
        looked_for = {**self.secrets, **(self.asked if with_asked else {})}
        return [
            name
            for name, secret in looked_for.items()
            if any(form in content for form in forms_of(secret))
        ]


def forms_of(secret: str) -> Iterator[bytes]:
    """Yield a secret as it is, and as it would be in a URL, in base 64 or in a hexadecimal dump."""
    encoded = secret.encode()
    yield encoded
    yield quote(secret, safe="").encode()
    yield quote(secret, safe="").replace("%20", "+").encode()
    yield base64.b64encode(encoded).rstrip(b"=")
    yield base64.urlsafe_b64encode(encoded).rstrip(b"=")
    yield encoded.hex().encode()


def make_tracer_provider(spans: InMemorySpanExporter) -> TracerProvider:
    """Return what sends spans as the service does: without what a caller has put into a URL."""
    provider = TracerProvider()
    provider.add_span_processor(
        SimpleSpanProcessor(RedactingSpanExporter(spans, redactor=Redactor()))
    )
    return provider


def read_spans(spans: InMemorySpanExporter) -> str:
    return "\n".join(one.to_json() for one in spans.get_finished_spans())


async def dump_tables(engine: AsyncEngine, *, prefixes: tuple[str, ...]) -> list[str]:
    """Return all rows, each after the name of its table; bytes in hexadecimal digits, too."""
    rows: list[str] = []
    async with engine.connect() as connection:
        for name, table in sorted(Base.metadata.tables.items()):
            if name.startswith(prefixes):
                found = await connection.execute(select(table))
                rows += [f"{name} {_as_text(row)}" for row in found]
    return rows


def _as_text(row: Iterable[object]) -> str:
    return " ".join(
        f"{value!r} {value.hex()}" if isinstance(value, bytes) else str(value) for value in row
    )


async def drop_tables(engine: AsyncEngine, *, prefixes: tuple[str, ...]) -> None:
    """Let the database refuse every statement from now on."""
    async with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            if table.name.startswith(prefixes):
                await connection.execute(DropTable(table, if_exists=True))
