"""Fixtures that run in the event loop of a test; the plugin registers them."""

import sys
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING  # noqa: TID251 - imported for every run of pytest.

from fastapi_baseline._extras import optional

with optional("pytest", extra="testing"):
    import pytest

if TYPE_CHECKING:
    from fastapi_baseline.persistence import Database, WriteSession

# In its strict mode, pytest-asyncio runs only fixtures that it has marked itself.
_fixture: Callable[[Callable[..., object]], object] = getattr(
    sys.modules.get("pytest_asyncio"), "fixture", pytest.fixture
)


@_fixture
async def database(worker_database_url: str) -> AsyncIterator["Database"]:
    """Give the database of this worker, with its schema.

    Take `session` too, so that nothing stays in it. Override this for an application that has a
    database itself: return `app.state.database`, made for `worker_database_url`.
    """
    from fastapi_baseline.persistence import Database  # noqa: PLC0415 - only if it is used.

    database = Database(worker_database_url)
    yield database
    await database.dispose()


@_fixture
async def session(database: "Database") -> AsyncIterator["WriteSession"]:
    """Give a session whose work is undone after the test, and so is all else in `database`.

    What the application commits in a `Transaction` is undone too; hooks of a commit are called
    when it does. The session may be committed as well.
    """
    async with database.rolled_back() as session:
        yield session
