"""The rows of the data benchmark: what is measured of each contender."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks._data.measure import Way
from benchmarks._data.models import PAGE, Sizes

_ALONE = Way()
_READS = Way(in_turn=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An operation, as the table names it; its number is that of the plan."""

    number: str
    name: str
    operation: str
    way: Way = _ALONE
    with_latency: bool = False
    beside: str | None = None
    """Another operation of ours that it is compared with."""


def rows(sizes: Sizes) -> Sequence[Row]:
    """Return all rows, in the order of the table."""
    small, large = sizes.many
    listed = f"list {PAGE} of {sizes.events:,}"
    return (
        Row(number="1", name="insert one", operation="insert", with_latency=True),
        *(
            Row(
                number="2",
                name=f"insert {count:,} entities",
                operation=f"add_many {count}",
                way=Way(repeats=10),
            )
            for count in sizes.many
        ),
        Row(
            number="2",
            name=f"insert {small:,} entities with keys from the database",
            operation=f"add_numbered {small}",
            way=Way(repeats=10),
        ),
        *(
            Row(
                number="3",
                name=f"bulk load {count:,}",
                operation=f"bulk {count}",
                way=Way(repeats=5, rounds=3),
                beside=f"add_many {count}",
            )
            for count in sizes.bulk
        ),
        Row(
            number="4",
            name="get by key",
            operation="get",
            way=Way(repeats=60, in_turn=True),
            with_latency=True,
        ),
        Row(
            number="4",
            name="get by key, loaded before",
            operation="get warm",
            way=Way(repeats=60, in_turn=True, keeps_loaded=True),
        ),
        Row(number="5", name="patch one field", operation="patch", with_latency=True),
        Row(
            number="5",
            name="patch one field, with its transaction",
            operation="patch",
            with_latency=True,
            way=Way(whole=True),
        ),
        Row(number="7", name="upsert one", operation="upsert", with_latency=True),
        Row(
            number="7",
            name=f"upsert {small:,}",
            operation=f"upsert_many {small}",
            way=Way(repeats=10),
        ),
        Row(
            number="7",
            name=f"upsert {large:,}",
            operation=f"upsert_many {large}",
            way=Way(repeats=3),
        ),
        Row(number="8", name=listed, operation="list", way=_READS, with_latency=True),
        Row(
            number="8",
            name=f"{listed} at offset {sizes.shallow:,}",
            operation="list shallow",
            way=_READS,
        ),
        Row(
            number="8", name=f"{listed} at offset {sizes.deep:,}", operation="list deep", way=_READS
        ),
        Row(
            number="8",
            name=f"{listed} by cursor",
            operation="keyset",
            way=_READS,
            with_latency=True,
        ),
        Row(
            number="8",
            name=f"{listed} by cursor at {sizes.deep:,}",
            operation="keyset deep",
            way=_READS,
            beside="keyset",
            with_latency=True,
        ),
        Row(
            number="9",
            name=f"{listed} with total",
            operation="total",
            way=Way(repeats=10, in_turn=True),
            with_latency=True,
        ),
        Row(
            number="9",
            name="the same, with fewer matches than a page",
            operation="total small",
            way=_READS,
            with_latency=True,
        ),
        Row(
            number="9",
            name="the same, total capped at 10,000",
            operation="total capped",
            way=_READS,
        ),
        Row(number="9", name="the same, total estimated", operation="total estimated", way=_READS),
        Row(
            number="10",
            name=f"exists, {sizes.events:,} matches",
            operation="exists",
            way=_READS,
            with_latency=True,
        ),
        Row(
            number="11",
            name=f"delete {sizes.deleted:,} by condition",
            operation="delete_where",
            way=Way(repeats=5),
            with_latency=True,
        ),
        Row(
            number="12",
            name=f"list {PAGE} with two relations",
            operation="relations",
            way=Way(repeats=20, in_turn=True),
            with_latency=True,
        ),
        Row(
            number="13",
            name=f"6 of 30 columns of {sizes.wide:,}",
            operation="projection",
            way=Way(repeats=10, in_turn=True),
            with_latency=True,
        ),
        Row(
            number="14",
            name=f"{listed} under a row policy (row security: later)",
            operation="policy",
            beside="list",
            way=_READS,
        ),
    )
