"""From the first statement to the commit: what happens at both ends of a transaction."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from anyio import CancelScope
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction
from sqlalchemy.orm import object_mapper, registry

from fastapi_baseline.persistence.errors import TransactionAbortedError
from fastapi_baseline.persistence.models import Base
from fastapi_baseline.persistence.translation import READ_ONLY, translate

SessionT = TypeVar("SessionT", bound=AsyncSession)


@asynccontextmanager
async def unit_of_work(session: SessionT) -> AsyncGenerator[SessionT]:
    """Give a session in a transaction that is committed at the end of the block, and close it.

    A block that fails is rolled back. The end is not interrupted by the cancellation of the task:
    a commit that is begun is awaited, so that its outcome is known, and a connection never goes
    back to its pool in the middle of a transaction.

    Raises:
        TransactionAbortedError: At the end, if a statement failed and its error was caught
            outside of a savepoint.
    """
    transaction = await session.begin()
    try:
        with _translated(session):
            yield session
            _refuse_if_failed(session)
    except BaseException as error:
        await to_the_end(_end(session, transaction, error))
        raise
    await to_the_end(_end(session, transaction))


def _refuse_if_failed(session: AsyncSession) -> None:
    if not session.is_active:
        raise TransactionAbortedError


async def _end(
    session: AsyncSession,
    transaction: AsyncSessionTransaction,
    error: BaseException | None = None,
) -> None:
    kind, traceback = (type(error), error.__traceback__) if error else (None, None)
    try:
        with _translated(session):
            await transaction.__aexit__(kind, error, traceback)
    finally:
        await session.close()


@contextmanager
def _translated(session: AsyncSession) -> Generator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        read_only: bool = session.info.get(READ_ONLY, False)
        translation = translate(error, registries=_registries_in(session), read_only=read_only)
        if translation is None:
            raise
        raise translation from error


def _registries_in(session: AsyncSession) -> tuple[registry, ...]:
    found = (object_mapper(entity).registry for entity in session)
    return tuple(dict.fromkeys((Base.registry, *found)))


async def to_the_end(work: Coroutine[Any, Any, object]) -> None:
    """Await `work` even if the task is cancelled meanwhile, which it then is afterwards."""
    task = asyncio.ensure_future(work)
    cancellation: asyncio.CancelledError | None = None
    # The scope holds off cancellation by anyio, which would come again and again; the loop that by
    # asyncio, which comes once.
    with CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError as error:
                cancellation = error
    if cancellation is None:
        task.result()
    elif not task.cancelled() and (failure := task.exception()) is not None:
        raise cancellation from failure
    else:
        raise cancellation
