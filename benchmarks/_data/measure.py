"""How an operation is measured: beside its rivals, in rounds, and in the caller's transaction."""

import gc
import math
import statistics
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession

Operation = Callable[[AsyncSession, int], Awaitable[object]]
"""What is measured; the number differs within a transaction, and counts from 0."""
Sessions = Callable[[], AbstractAsyncContextManager[AsyncSession]]
"""What begins a transaction, and rolls it back at the end of the block."""

# A block of calls lasts so long, unless one of them takes longer: many short blocks that take turns
# see the same machine, however busy it is.
_BLOCK_SECONDS = 0.05
_MOST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An operation of a contender, and where it runs."""

    sessions: Sessions
    operation: Operation


@dataclass(slots=True)
class Timing:
    """What was measured of a case: seconds, by round."""

    rounds: list[list[float]] = field(default_factory=list[list[float]])
    statements: int = 0

    @property
    def medians(self) -> Sequence[float]:
        """Return the median of each round, in seconds."""
        return [statistics.median(times) for times in self.rounds]

    @property
    def median(self) -> float:
        """Return the median of the rounds' medians, in seconds."""
        return statistics.median(self.medians)

    @property
    def p95(self) -> float:
        """Return what 95 % of all calls take at most, in seconds."""
        times = sorted(taken for taken_in_round in self.rounds for taken in taken_in_round)
        return times[math.ceil(len(times) * 0.95) - 1]

    @property
    def fastest(self) -> float:
        """Return what the fastest call took, in seconds: what is left without other programs."""
        return min(taken for taken_in_round in self.rounds for taken in taken_in_round)

    def over(self, other: "Timing") -> float:
        """Return how many times longer it takes than another: the median over the rounds."""
        return statistics.median(
            own / its for own, its in zip(self.medians, other.medians, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a row is measured.

    Between two calls the session forgets what it has loaded, unless it `keeps_loaded`. Neither the
    beginning nor the end of the transaction is measured, unless it is `whole`. Where nothing is
    written, `in_turn`, contenders take turns with each call; else, with each transaction.
    """

    repeats: int = 40
    keeps_loaded: bool = False
    whole: bool = False
    in_turn: bool = False
    rounds: int | None = None
    """How many rounds there are at least, if calls take long; else, as many as elsewhere."""


async def measure(
    cases: Mapping[str, Case], way: Way, *, rounds: int, seconds: float
) -> tuple[dict[str, Timing], dict[str, str]]:
    """Return what each case takes, and why those fail that do.

    They take turns, in an order that changes with each round. There are at least `rounds`, and
    up to `_MOST` times as many as long as `seconds` are not over.
    """
    rounds = way.rounds or rounds
    timings = {name: Timing() for name in cases}
    failures: dict[str, str] = {}
    # A collection then looks at no more than what was made since.
    gc.collect()
    gc.freeze()
    ends = time.perf_counter() + seconds
    for number in range(-1, rounds * _MOST):
        if number >= rounds and time.perf_counter() > ends:
            break
        names = [name for name in cases if name not in failures]
        turn = max(number, 0) % max(len(names), 1)
        in_order = {name: cases[name] for name in (*names[turn:], *names[:turn])}
        if way.in_turn and number >= 0:
            for name, times in (await _in_turn(in_order, way, failures)).items():
                timings[name].rounds.append(times)
            continue
        for name, case in in_order.items():
            with _noted(failures, name):
                if number < 0:
                    timings[name].statements = await _warm_up(case, way)
                else:
                    timings[name].rounds.append(await _times(case, way))
    return {name: timing for name, timing in timings.items() if name not in failures}, failures


@contextmanager
def _noted(failures: dict[str, str], name: str) -> Generator[None]:
    """Note why a case fails, and let the others go on."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - any library has errors of its own
        failures[name] = f"{type(error).__name__}: {error}"


async def _in_turn(
    cases: Mapping[str, Case], way: Way, failures: dict[str, str]
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in cases}
    held: list[object] = []
    gc.collect()
    async with AsyncExitStack() as stack:
        # On SQLite there is one transaction at a time that could write.
        sessions: dict[Sessions, AsyncSession] = {}
        for case in cases.values():
            if case.sessions not in sessions:
                sessions[case.sessions] = await stack.enter_async_context(case.sessions())
            await sessions[case.sessions].execute(text("SELECT 1"))
            if way.keeps_loaded:
                held.append(await case.operation(sessions[case.sessions], 0))
        ends = time.perf_counter() + _BLOCK_SECONDS * len(cases)
        for number in range(way.repeats):
            for name, case in cases.items():
                with _noted(failures, name):
                    times[name].append(await _time(case, sessions[case.sessions], number, way=way))
            if time.perf_counter() > ends:
                break
    return times


async def _time(case: Case, session: AsyncSession, number: int, *, way: Way) -> float:
    started = time.perf_counter()
    await case.operation(session, number)
    taken = time.perf_counter() - started
    if not way.keeps_loaded:
        session.expunge_all()
    return taken


async def _warm_up(case: Case, way: Way) -> int:
    """Fill the caches of a case, and return how many statements a call sends."""
    with counted() as sent:
        await _block(case, replace(way, repeats=1), sent=sent)
        return len(sent)


async def _times(case: Case, way: Way) -> list[float]:
    return await (_whole(case, way) if way.whole else _block(case, way))


async def _block(case: Case, way: Way, *, sent: list[str] | None = None) -> list[float]:
    times: list[float] = []
    gc.collect()
    async with case.sessions() as session:
        # What begins a transaction may do so only with its first statement.
        await session.execute(text("SELECT 1"))
        # The session forgets what nobody holds.
        held = await case.operation(session, 0) if way.keeps_loaded else None
        if sent is not None:
            sent.clear()
        ends = time.perf_counter() + _BLOCK_SECONDS
        for number in range(way.repeats):
            times.append(await _time(case, session, number, way=way))
            if time.perf_counter() > ends:
                break
        del held
    return times


async def _whole(case: Case, way: Way) -> list[float]:
    times: list[float] = []
    for number in range(way.repeats):
        started = time.perf_counter()
        async with case.sessions() as session:
            await case.operation(session, number)
        times.append(time.perf_counter() - started)
    return times


@contextmanager
def counted() -> Generator[list[str]]:
    """Note each statement that is sent, and each COMMIT."""
    sent: list[str] = []

    def on_execute(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        del connection, cursor, rest
        sent.append(statement)

    def on_commit(connection: Any) -> None:
        del connection
        sent.append("COMMIT")

    event.listen(Engine, "before_cursor_execute", on_execute)
    event.listen(Engine, "commit", on_commit)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", on_execute)
        event.remove(Engine, "commit", on_commit)
