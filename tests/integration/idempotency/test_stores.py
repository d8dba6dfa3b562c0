import asyncio
from datetime import timedelta

import pytest

from fastapi_baseline.idempotency import IdempotencyStore, Record, StoredResponse

MINUTE = timedelta(minutes=1)
AT_ONCE = timedelta(milliseconds=1)
RESPONSE = StoredResponse(status=201, headers=[(b"location", b"/a")], body=b"\x00\xff\n")


async def claim(
    store: IdempotencyStore,
    token: str,
    *,
    key: str = "k",
    fingerprint: str = "f",
    lock_timeout: timedelta = MINUTE,
) -> Record | None:
    return await store.claim(key, token=token, fingerprint=fingerprint, lock_timeout=lock_timeout)


async def complete(store: IdempotencyStore, token: str, *, lifetime: timedelta = MINUTE) -> bool:
    return await store.complete("k", token=token, response=RESPONSE, lifetime=lifetime)


async def until_claimed(store: IdempotencyStore, token: str) -> None:
    for _ in range(5_000):
        if await claim(store, token) is None:
            return
        await asyncio.sleep(0.001)
    pytest.fail("nobody has got the key")


async def test_gives_a_key_to_the_first_who_asks(store: IdempotencyStore) -> None:
    first = await claim(store, "a", fingerprint="of the first")
    second = await claim(store, "b", fingerprint="of the second")

    assert first is None
    assert second == Record(fingerprint="of the first", response=None)


async def test_keys_do_not_know_each_other(store: IdempotencyStore) -> None:
    await claim(store, "a", key="k")

    assert await claim(store, "b", key="l") is None


async def test_asking_again_with_the_same_token_changes_nothing(store: IdempotencyStore) -> None:
    await claim(store, "a")

    assert await claim(store, "a") is None


async def test_of_many_at_once_one_gets_the_key(store: IdempotencyStore) -> None:
    found = await asyncio.gather(*(claim(store, str(number)) for number in range(50)))

    assert found.count(None) == 1


async def test_remembers_a_response_as_it_was(store: IdempotencyStore) -> None:
    await claim(store, "a")

    assert await complete(store, "a")
    assert await claim(store, "b") == Record(fingerprint="f", response=RESPONSE)


async def test_a_key_that_was_used_is_nobodys_any_more(store: IdempotencyStore) -> None:
    await claim(store, "a")
    await complete(store, "a")

    await store.release("k", token="a")

    assert not await complete(store, "a")
    assert await claim(store, "a") == Record(fingerprint="f", response=RESPONSE)


async def test_a_key_that_was_given_back_can_be_used(store: IdempotencyStore) -> None:
    await claim(store, "a")

    await store.release("k", token="a")

    assert await claim(store, "b") is None


async def test_somebody_else_can_neither_give_it_back_nor_use_it(store: IdempotencyStore) -> None:
    await claim(store, "a")

    await store.release("k", token="b")

    assert not await complete(store, "b")
    assert await claim(store, "c") == Record(fingerprint="f", response=None)


async def test_a_key_that_nobody_knows_cannot_be_used(store: IdempotencyStore) -> None:
    await store.release("k", token="a")

    assert not await complete(store, "a")


async def test_a_key_whose_time_is_up_goes_to_the_next(store: IdempotencyStore) -> None:
    await claim(store, "a", lock_timeout=AT_ONCE)
    await until_claimed(store, "b")

    assert not await complete(store, "a")
    await store.release("k", token="a")
    assert await claim(store, "c") == Record(fingerprint="f", response=None)


async def test_a_response_whose_time_is_up_is_forgotten(store: IdempotencyStore) -> None:
    await claim(store, "a")
    await complete(store, "a", lifetime=AT_ONCE)

    await until_claimed(store, "b")


@pytest.mark.parametrize("body", [b"", None, b"x" * 1_000_000], ids=["empty", "not kept", "1 MB"])
async def test_remembers_any_body(store: IdempotencyStore, body: bytes | None) -> None:
    response = StoredResponse(status=200, headers=[], body=body)
    await claim(store, "a")

    await store.complete("k", token="a", response=response, lifetime=MINUTE)

    assert await claim(store, "b") == Record(fingerprint="f", response=response)
