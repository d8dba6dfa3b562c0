"""What fills the tables of the data benchmark."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import String, insert, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from benchmarks._data.models import (
    TIES,
    Counter,
    Customer,
    Event,
    Line,
    Order,
    Plain,
    Product,
    Sizes,
    Wide,
    product,
    table_of,
)
from fastapi_baseline.ids import uuid7


async def fill(engine: AsyncEngine, sizes: Sizes) -> Sequence[UUID]:
    """Make the tables, fill them, and return the keys of the products."""
    keys = [uuid7() for _ in range(sizes.products)]
    async with engine.begin() as connection:
        await connection.run_sync(Plain.metadata.create_all)
        rows = [{**product(number, "old"), "id": key} for number, key in enumerate(keys)]
        await connection.execute(insert(table_of(Product)), rows)
        await _fill_events(connection, sizes.events)
        await _fill_rest(connection, sizes)
    # Statistics of what is there, and on PostgreSQL a map of what all may see.
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        is_postgres = engine.dialect.name == "postgresql"
        await connection.execute(text("VACUUM ANALYZE" if is_postgres else "ANALYZE"))
    return keys


async def _fill_events(connection: AsyncConnection, events: int) -> None:
    numbers = select(literal(1).label("n")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < events))
    n = numbers.c.n
    values = {
        "id": n,
        "rank": n // TIES,
        "amount": n % 1000,
        "kind": literal("kind ") + (n % 10).cast(String),
        "title": literal("Event ") + n.cast(String),
    }
    await connection.execute(
        insert(table_of(Event)).from_select([*values], select(*values.values()))
    )


async def _fill_rest(connection: AsyncConnection, sizes: Sizes) -> None:
    await connection.execute(insert(table_of(Counter)), {"id": 1, "value": 0, "version": 1})
    customers = [{"id": number, "name": f"Customer {number}"} for number in range(100)]
    orders = [{"id": number, "customer_id": number % 100} for number in range(sizes.orders)]
    lines = [
        {"order_id": number, "sku": f"SKU {number}-{line}"}
        for number in range(sizes.orders)
        for line in range(3)
    ]
    wide = [
        {"id": number, **{f"c{column:02}": f"value {column} of {number}" for column in range(29)}}
        for number in range(sizes.wide)
    ]
    for model, rows in ((Customer, customers), (Order, orders), (Line, lines), (Wide, wide)):
        await connection.execute(insert(table_of(model)), rows)
