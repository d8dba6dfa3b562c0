"""What the probes of the data layer share: a database, counted statements, checked types."""

import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import Engine, MetaData, event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from benchmarks.peers.defects.probe import Seen


@contextmanager
def database_file() -> Generator[Path]:
    """Give the path of a database that does not exist yet."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "peer.db"


@asynccontextmanager
async def sessions(metadata: MetaData) -> AsyncGenerator[async_sessionmaker[AsyncSession]]:
    """Give what makes sessions on a new SQLite file with these tables."""
    with database_file() as path:
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        try:
            yield async_sessionmaker(engine, expire_on_commit=False)
        finally:
            await engine.dispose()


def read(path: Path, statement: str) -> list[tuple[object, ...]]:
    """Return what another connection sees."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


@contextmanager
def counted() -> Generator[list[str]]:
    """Note the first word of each statement that is sent, and each COMMIT."""
    sent: list[str] = []

    def on_execute(_connection, _cursor, statement, *_rest) -> None:
        sent.append(statement.split(maxsplit=1)[0])

    def on_commit(_connection) -> None:
        sent.append("COMMIT")

    event.listen(Engine, "before_cursor_execute", on_execute)
    event.listen(Engine, "commit", on_commit)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", on_execute)
        event.remove(Engine, "commit", on_commit)


def budget(seen: dict[str, list[str]]) -> Seen:
    """Return whether an operation took more than one statement, and which it took."""
    parts = [f"{name}: {' + '.join(sent)}" for name, sent in seen.items()]
    over = [sent for sent in seen.values() if len([word for word in sent if word != "COMMIT"]) > 1]
    return Seen(bool(over), "; ".join(parts))


_MODELS = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase): ...

class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
"""


def check_types(program: str) -> Seen:
    """Return what `mypy --strict` says of a program that uses a model of these."""
    with database_file() as path:
        folder = path.parent
        (folder / "models.py").write_text(_MODELS, encoding="utf-8")
        (folder / "program.py").write_text(program, encoding="utf-8")
        done = subprocess.run(
            (sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "program.py"),
            capture_output=True,
            check=False,
            cwd=folder,
            text=True,
        )
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    if done.returncode and not errors:
        raise RuntimeError(done.stdout + done.stderr)
    return Seen(bool(errors), errors[0].partition(": error: ")[2] if errors else "no error")
