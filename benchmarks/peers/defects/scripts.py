"""Probes that need a process of their own, and the lock that one of them holds."""

import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.defects.database import database_file
from benchmarks.peers.defects.probe import Seen, defect, sound

_LIMIT_SECONDS = 10

ADVANCED_ALCHEMY = """
import asyncio, sys
from advanced_alchemy.extensions.fastapi import AdvancedAlchemy, SQLAlchemyAsyncConfig
from fastapi import FastAPI
from sqlalchemy import text

config = SQLAlchemyAsyncConfig(connection_string=f"sqlite+aiosqlite:///{sys.argv[1]}")
app = FastAPI()
alchemy = AdvancedAlchemy(config=config, app=app)

async def main():
    async with app.router.lifespan_context(app), config.get_session() as session:
        await session.execute(text("SELECT 1"))

asyncio.run(main())
"""

# As the documentation of fastcrud makes an engine: nobody disposes of it.
UNDISPOSED = """
import asyncio, sys
from contextlib import asynccontextmanager
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine(f"sqlite+aiosqlite:///{sys.argv[1]}")
async_session = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)

@asynccontextmanager
async def lifespan(app):
    async with engine.begin() as connection:
        await connection.execute(text("SELECT 1"))
    yield

app = FastAPI(lifespan=lifespan)

async def main():
    async with app.router.lifespan_context(app), async_session() as session:
        await session.execute(text("SELECT 1"))

asyncio.run(main())
"""


def ends(program: str) -> Seen:
    """Return whether the process of a program fails to end once the program is done."""
    with database_file() as path:
        try:
            subprocess.run(
                (sys.executable, "-c", program, str(path)),
                check=True,
                timeout=_LIMIT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return defect(f"the process had not ended {_LIMIT_SECONDS} seconds later")
    return sound("the process ended")


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold the lock of a database, which gets the table `account` before."""
    connection = sqlite3.connect(path, isolation_level=None)
    columns = "id INTEGER PRIMARY KEY, name TEXT, rank INTEGER, secret TEXT"
    connection.execute(f"CREATE TABLE account ({columns})")
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()
