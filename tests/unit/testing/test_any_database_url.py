from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def test_gives_a_database_that_answers(any_database_url: str) -> None:
    engine = create_async_engine(any_database_url.replace("sqlite:", "sqlite+aiosqlite:"))

    async with engine.connect() as connection:
        answer = await connection.scalar(text("SELECT 1"))

    await engine.dispose()
    assert answer == 1
