from typing import Any

import pytest

from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.redis import RedisCacheStore
from fastapi_baseline.caching.store import Claim, Invalidation

A, B, C = "one", "another", "third"


@pytest.fixture
def store(processes: list[Any]) -> RedisCacheStore:
    return processes[0].store


def entry(body: bytes = b"x", *, tags: tuple[str, ...] = ()) -> Entry:
    return Entry(body=body, stored_at=0, fresh_until=60, stale_until=60, error_until=60, tags=tags)


async def claim(
    store: RedisCacheStore, key: str = "n:k", *, token: str = A, tags: tuple[str, ...] = ()
) -> Claim:
    return await store.claim(key, token=token, tags=tags, lock_timeout_s=60)


async def put(
    store: RedisCacheStore,
    kept: Entry,
    claimed: Claim,
    *,
    key: str = "n:k",
    token: str = A,
    ttl_s: float = 60,
) -> bool:
    return await store.put(key, kept, token=token, claim=claimed, ttl_s=ttl_s)


async def make(
    store: RedisCacheStore, key: str = "n:k", *, body: bytes = b"x", tags: tuple[str, ...] = ()
) -> Entry:
    kept = entry(body, tags=tags)
    assert await put(store, kept, await claim(store, key, tags=tags), key=key)
    return kept


async def test_finds_what_was_put(store: RedisCacheStore) -> None:
    kept = await make(store)

    assert await store.find("n:k") == kept
    assert await store.find("n:l") is None


@pytest.mark.parametrize("known", [(), ("a",), ("a", "b"), ("c", "b", "a")], ids=str)
async def test_finds_an_entry_whatever_is_known_of_its_tags(
    store: RedisCacheStore, known: tuple[str, ...]
) -> None:
    kept = await make(store, tags=("a", "b"))

    assert await store.find("n:k", tags=known) == kept


async def test_asks_once_if_the_tags_are_known(processes: list[Any]) -> None:
    process = processes[0]
    await make(process.store, tags=("a", "b"))
    process.redis.runs = 0

    await process.store.find("n:k", tags=("a", "b"))

    assert process.redis.runs == 1


async def test_an_invalidated_tag_makes_an_entry_invalid(store: RedisCacheStore) -> None:
    await make(store, "n:k", tags=("a", "b"))
    other = await make(store, "n:l", tags=("b",))

    await store.invalidate(Invalidation(tags=("a",)))

    assert await store.find("n:k", tags=("a", "b")) is None
    assert await store.find("n:k") is None
    assert await store.find("n:l") == other


async def test_a_tag_that_redis_has_lost_makes_entries_invalid_and_never_valid_again(
    store: RedisCacheStore, client: Any
) -> None:
    await make(store, tags=("a",))

    for name in await client.keys("cache-tags:*"):
        await client.delete(name)
    lost = await store.find("n:k", tags=("a",))
    await claim(store, "n:other", tags=("a",))

    assert lost is None
    assert await store.find("n:k", tags=("a",)) is None


async def test_what_was_begun_before_its_tag_was_invalidated_is_not_kept(
    store: RedisCacheStore,
) -> None:
    claimed = await claim(store, tags=("a",))
    await store.invalidate(Invalidation(tags=("a",)))
    await claim(store, "n:other", tags=("a",))

    assert not await put(store, entry(tags=("a",)), claimed)
    assert await store.find("n:k", tags=("a",)) is None


async def test_a_tag_that_is_known_only_afterwards_counts_from_the_next_time_on(
    store: RedisCacheStore,
) -> None:
    kept = entry(tags=("late",))

    first = await put(store, kept, await claim(store))
    second = await put(store, kept, await claim(store))

    assert (first, second) == (False, True)
    assert await store.find("n:k") == kept


async def test_one_of_many_may_make_an_entry(store: RedisCacheStore) -> None:
    first = await claim(store, token=A)
    second = await claim(store, token=B)
    again = await claim(store, token=A)

    assert [first.is_granted, second.is_granted, again.is_granted] == [True, False, True]


async def test_who_claims_what_is_there_sees_it(store: RedisCacheStore) -> None:
    kept = await make(store, tags=("a",))

    assert (await claim(store, token=B, tags=("a",))).entry == kept
    await store.invalidate(Invalidation(tags=("a",)))
    assert (await claim(store, token=B, tags=("a",))).entry is None


async def test_the_next_may_make_it_when_it_was_put_or_released(store: RedisCacheStore) -> None:
    await make(store)
    after_put = await claim(store, token=B)
    await store.release("n:k", token=A)
    not_his = await claim(store, token=C)
    await store.release("n:k", token=B)
    after_release = await claim(store, token=C)

    assert [after_put.is_granted, not_his.is_granted, after_release.is_granted] == [
        True,
        False,
        True,
    ]


async def test_a_lock_ends_by_itself(store: RedisCacheStore) -> None:
    await store.claim("n:k", token=A, tags=(), lock_timeout_s=0.001)

    for _ in range(5_000):
        if (await claim(store, token=B)).is_granted:
            return
    pytest.fail("nobody gets it")


async def test_what_was_begun_later_is_not_overwritten(store: RedisCacheStore) -> None:
    early, late = await claim(store, token=A), await claim(store, token=B)

    assert await put(store, entry(b"late"), late, token=B)
    assert not await put(store, entry(b"early"), early)
    found = await store.find("n:k")
    assert found is not None
    assert found.body == b"late"


async def test_an_entry_that_is_put_twice_is_there_once(store: RedisCacheStore) -> None:
    claimed = await claim(store)

    assert await put(store, entry(), claimed)
    assert await put(store, entry(), claimed)


async def test_a_key_that_was_deleted_while_it_was_made_is_not_kept(
    store: RedisCacheStore,
) -> None:
    claimed = await claim(store)
    removed = await store.invalidate(Invalidation(keys=("n:k",)))
    again = await claim(store, token=B)

    assert removed == 0
    assert not await put(store, entry(), claimed)
    assert (again.is_granted, again.entry) == (True, None)
    assert await put(store, entry(), again, token=B)


async def test_deletes_the_keys_that_are_named(store: RedisCacheStore) -> None:
    for key in ("n:a", "n:b", "n:c"):
        await make(store, key)

    removed = await store.invalidate(Invalidation(keys=("n:a", "n:b", "n:unknown")))

    assert removed == 2
    assert [key async for key, _ in store.list_entries()] == ["n:c"]


async def test_clears_one_namespace_and_nothing_else(store: RedisCacheStore, client: Any) -> None:
    for key in ("n:a", "n:b{c}:%*", "nn:a", ":n:a"):
        await make(store, key)
    await client.set("cache:1:other:{n%3Aa}", "of another service")

    listed = sorted([key async for key, _ in store.list_entries(namespace="n")])
    removed = await store.invalidate(Invalidation(namespaces=("n",)))

    assert listed == ["n:a", "n:b{c}:%*"]
    assert removed == 2
    assert sorted([key async for key, _ in store.list_entries()]) == [":n:a", "nn:a"]
    assert await client.exists("cache:1:other:{n%3Aa}")


async def test_clears_everything_of_its_service(store: RedisCacheStore, client: Any) -> None:
    await make(store, "n:a", tags=("t",))
    await make(store, "m:a")
    await client.set("other", "1")

    await store.invalidate(Invalidation(is_everything=True))

    assert await client.keys() == [b"other"]


@pytest.mark.counts_commands
async def test_clears_a_hundred_thousand_keys_without_asking_for_all_at_once(
    store: RedisCacheStore, client: Any
) -> None:
    kept = await make(store, "m:kept")
    value = await client.get("cache:1:shop:{m%3Akept}")
    assert value is not None
    pairs = {f"cache:1:shop:{{n%3A{number}}}": value for number in range(100_000)}
    await client.mset(pairs)
    await client.config_resetstat()

    removed = await store.invalidate(Invalidation(namespaces=("n",)))

    used: Any = await client.info("commandstats")
    assert removed == 100_000
    assert await store.find("m:kept") == kept
    assert "cmdstat_keys" not in used
    assert "cmdstat_del" not in used


async def test_everything_in_redis_expires(store: RedisCacheStore, client: Any) -> None:
    await make(store, "n:a", tags=("t",))
    await claim(store, "n:b")
    await store.invalidate(Invalidation(keys=("n:c",)))

    names = await client.keys()

    assert len(names) == 4
    assert all([await client.pttl(name) > 0 for name in names])


async def test_tags_last_longer_than_what_has_them(store: RedisCacheStore, client: Any) -> None:
    day_s = 86_400
    claimed = await claim(store, tags=("t",))
    await put(store, entry(tags=("t",)), claimed, ttl_s=day_s)
    await make(store, "n:brief", tags=("t",))

    [name] = await client.keys("cache-tags:*")
    assert await client.ttl(name) > day_s


async def test_the_keys_of_an_entry_are_in_one_slot(store: RedisCacheStore, client: Any) -> None:
    await claim(store, "n:a")
    await make(store, "n:a", body=b"1")
    await claim(store, "n:a")

    names = [name.decode() for name in await client.keys()]

    assert len(names) == 2
    assert {name[name.index("{") : name.index("}")] for name in names} == {"{n%3Aa"}


async def test_goes_on_when_redis_has_forgotten_its_scripts(
    store: RedisCacheStore, client: Any
) -> None:
    claimed = await claim(store)
    await client.script_flush()

    assert await put(store, entry(), claimed)


async def test_what_somebody_else_has_written_is_no_entry(
    store: RedisCacheStore, client: Any
) -> None:
    await client.set("cache:1:shop:{n%3Ak}", b"\x80\x04K\x01.")

    assert await store.find("n:k") is None
    assert (await claim(store)).entry is None
    assert [key async for key, _ in store.list_entries()] == []
