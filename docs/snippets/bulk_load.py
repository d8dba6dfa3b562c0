"""Many rows at once."""

import csv
from collections.abc import Iterator, Mapping
from io import StringIO

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.persistence import (
    Base,
    Database,
    Repository,
    Timestamps,
    UUIDPrimaryKey,
    WriteSession,
)


# <start-model>
class Product(Base, UUIDPrimaryKey, Timestamps):
    """A product; `sku` is what the supplier calls it."""

    sku: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    price: Mapped[int]


class Products(Repository[Product]):
    """Products, in the transaction of the caller."""


# <end-model>
PRICE_LIST = """sku,name,price
L1,Lamp,10
L2,Large lamp,20
"""


# <start-read>
def rows_of(text: str) -> Iterator[Mapping[str, object]]:
    """Give the rows of a price list, one after the other."""
    for row in csv.DictReader(StringIO(text)):
        yield {"sku": row["sku"], "name": row["name"], "price": int(row["price"])}


# <end-read>


async def test_some_entities_are_added(session: WriteSession) -> None:
    # <start-add>
    products = Products(session)
    lamps = await products.add_many([Product(sku=f"L{n}", name="Lamp", price=n) for n in range(9)])
    # <end-add>

    assert len(lamps) == 9
    assert all(lamp.id and lamp.created_at for lamp in lamps)


async def test_one_is_put_under_its_key(session: WriteSession) -> None:
    products = Products(session)

    # <start-upsert>
    lamp = {"sku": "L1", "name": "Lamp", "price": 10}
    first = await products.upsert(lamp, key=[Product.sku])
    again = await products.upsert(
        lamp | {"price": 9, "name": "?"}, key=[Product.sku], update=[Product.price]
    )
    # <end-upsert>

    assert (first.created, again.created) == (True, False)
    assert (again.entity.id, again.entity.price, again.entity.name) == (first.entity.id, 9, "Lamp")


async def test_a_list_is_brought_up_to_date(session: WriteSession) -> None:
    products = Products(session)
    await products.add(Product(sku="L1", name="Lamp", price=1))

    # <start-upsert-many>
    await products.upsert_many(rows_of(PRICE_LIST), key=[Product.sku])
    # <end-upsert-many>

    prices = await session.execute(select(Product.sku, Product.price).order_by(Product.sku))
    assert [tuple(row) for row in prices] == [("L1", 10), ("L2", 20)]


@pytest.mark.usefixtures("session")
async def test_a_file_is_copied(database: Database) -> None:
    # <start-copy>
    async with database.transaction() as session:
        copied = await Products(session).copy_many(rows_of(PRICE_LIST))
    # <end-copy>

    assert copied == 2


async def test_many_are_changed_and_removed_without_being_read(session: WriteSession) -> None:
    products = Products(session)
    await products.copy_many(rows_of(PRICE_LIST))

    # <start-where>
    changed = await products.update_where(Product.price < 15, values={"price": 15})
    removed = await products.delete_where(Product.price > 15)
    # <end-where>

    assert (changed, removed) == (1, 1)
