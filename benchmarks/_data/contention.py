"""What is right or wrong rather than fast: rows 6, 15 and 16, and the memory of row 11."""

import asyncio
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from sqlalchemy import func, insert, make_url, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from benchmarks._data.backends import Backend, plain_engine
from benchmarks._data.measure import Operation, Sessions
from benchmarks._data.models import Counter, Item, Plain, Product, product
from fastapi_baseline.ids import uuid7
from fastapi_baseline.persistence import Database

Committing = Callable[[], AbstractAsyncContextManager[AsyncSession]]
"""What begins a transaction that is committed at the end of the block."""

WRITERS = 8
CROWD = 50
_LONGEST_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a contender was seen to do: what counts, and how long it took."""

    number: int
    name: str
    backend: str
    contender: str
    seen: Mapping[str, float]
    seconds: float


async def contention(
    backend: Backend,
    contenders: Mapping[str, tuple[Committing, Callable[[AsyncSession], Awaitable[None]]]],
    *,
    increments: int,
) -> list[Check]:
    """Let 8 writers increase one number by its version, trying again when they are refused."""
    checks: list[Check] = []
    for name, (begin, contend) in contenders.items():
        async with backend.engine.begin() as connection:
            await connection.execute(update(Counter).values(value=0, version=1))
        started = time.perf_counter()
        deadline = started + _LONGEST_SECONDS
        refused = await asyncio.gather(
            *(
                _insist(begin, contend, increments=increments, deadline=deadline)
                for _ in range(WRITERS)
            )
        )
        seconds = time.perf_counter() - started
        async with backend.engine.connect() as connection:
            final = await connection.scalar(select(Counter.value))
        succeeded = sum(done for done, _ in refused)
        seen = {
            "increments": succeeded,
            "lost": succeeded - int(final or 0),
            "refused": sum(tries for _, tries in refused),
        }
        checks.append(
            Check(
                number=6,
                name=f"{WRITERS} writers increase one number by its version",
                backend=backend.name,
                contender=name,
                seen=seen,
                seconds=seconds,
            )
        )
    return checks


async def _insist(
    begin: Committing,
    contend: Callable[[AsyncSession], Awaitable[None]],
    *,
    increments: int,
    deadline: float,
) -> tuple[int, int]:
    """Return how many increments were made, and how many times one was refused."""
    done = refused = 0
    while done < increments and time.perf_counter() < deadline:
        try:
            async with begin() as session:
                await contend(session)
        except Exception:  # noqa: BLE001 - every library has errors of its own
            refused += 1
            await asyncio.sleep(0)
        else:
            done += 1
    return done, refused


async def crowd(
    increases: Mapping[str, Callable[[AsyncSession, UUID], Awaitable[None]]], *, ours: str
) -> list[Check]:
    """Let 50 tasks increase one number on SQLite at once, with engines as each documents them."""
    checks: list[Check] = []
    for name, increase in increases.items():
        with tempfile.TemporaryDirectory() as folder:
            url = make_url(f"sqlite:///{folder}/crowd.db")
            engine = plain_engine(url, is_tuned=False)
            key = uuid7()
            async with engine.begin() as connection:
                await connection.run_sync(Plain.metadata.create_all)
                await connection.execute(insert(Product).values(id=key, stock=0, **product(0)))
            database = Database(url.render_as_string(), metadata=Plain.metadata)
            begin = database.transaction if name == ours else async_sessionmaker(engine).begin
            started = time.perf_counter()
            done = await asyncio.gather(
                *(_once(begin, increase, key) for _ in range(CROWD)), return_exceptions=True
            )
            seconds = time.perf_counter() - started
            async with engine.connect() as connection:
                final = await connection.scalar(select(Product.stock))
            await engine.dispose()
            await database.dispose()
        errors = sum(isinstance(result, BaseException) for result in done)
        seen = {"errors": errors, "lost": CROWD - errors - int(final or 0)}
        checks.append(
            Check(
                number=15,
                name=f"{CROWD} writers at once",
                backend="SQLite",
                contender=name,
                seen=seen,
                seconds=seconds,
            )
        )
    return checks


async def _once(
    begin: Committing, increase: Callable[[AsyncSession, UUID], Awaitable[None]], key: UUID
) -> None:
    async with begin() as session:
        await increase(session, key)


async def visibility(
    backend: Backend, applications: Mapping[str, FastAPI], *, posts: int
) -> list[Check]:
    """Post, and look from another connection as soon as the answer has been sent."""
    checks: list[Check] = []
    for name, app in applications.items():
        missed = 0
        started = time.perf_counter()
        async with backend.engine.execution_options(
            isolation_level="AUTOCOMMIT"
        ).connect() as connection:
            for _ in range(posts):
                key = uuid7()
                found: list[int] = []

                async def send(message: Any, key: UUID = key, found: list[int] = found) -> None:
                    if message["type"] != "http.response.body":
                        return
                    statement = select(func.count()).where(Item.id == key)
                    found.append(int(await connection.scalar(statement) or 0))

                await app(_post(key), _receive, send)
                missed += not any(found)
        seconds = time.perf_counter() - started
        checks.append(
            Check(
                number=16,
                name="POST, then GET from another connection",
                backend=backend.name,
                contender=name,
                seen={"requests": posts, "missed": missed},
                seconds=seconds,
            )
        )
    return checks


def _post(key: UUID) -> dict[str, Any]:
    path = f"/items/{key}"
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": ("127.0.0.1", 50000),
        "server": ("bench", 80),
    }


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def memory(
    backend: Backend, contenders: Mapping[str, tuple[Sessions, Operation, Operation]], *, rows: int
) -> list[Check]:
    """Return the peak of what Python allocates to delete rows, and ten times as many."""
    checks: list[Check] = []
    for name, (begin, few, many) in contenders.items():
        peaks: list[float] = []
        started = time.perf_counter()
        for operation in (few, few, many):  # The first fills caches.
            async with begin() as session:
                await session.scalar(select(1))
                tracemalloc.start()
                await operation(session, 0)
                peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
                tracemalloc.stop()
        seen = {f"peak_mib_{rows}": peaks[1], f"peak_mib_{10 * rows}": peaks[2]}
        checks.append(
            Check(
                number=11,
                name="memory to delete rows by a condition",
                backend=backend.name,
                contender=name,
                seen=seen,
                seconds=time.perf_counter() - started,
            )
        )
    return checks
