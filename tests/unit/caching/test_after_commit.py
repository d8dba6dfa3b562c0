from collections.abc import Awaitable, Callable

import pytest

from fastapi_baseline.caching.after_commit import invalidate_after_commit
from fastapi_baseline.caching.errors import InvalidTagError


class Session:
    """What calls hooks when it is told that it is committed."""

    def __init__(self) -> None:
        self.hooks: list[Callable[[], Awaitable[object] | object]] = []

    def on_commit(self, hook: Callable[[], Awaitable[object] | object]) -> None:
        self.hooks.append(hook)

    async def commit(self) -> None:
        for hook in self.hooks:
            result = hook()
            if isinstance(result, Awaitable):
                await result


class Tags(list[tuple[str, ...]]):
    async def invalidate(self, *tags: str) -> None:
        self.append(tags)


async def test_invalidates_when_it_is_committed_and_not_before() -> None:
    session, cache = Session(), Tags()

    invalidate_after_commit(session, cache, "a", "b")
    before = [*cache]
    await session.commit()

    assert before == []
    assert cache == [("a", "b")]


def test_refuses_a_bad_tag_before_the_commit() -> None:
    with pytest.raises(InvalidTagError):
        invalidate_after_commit(Session(), Tags(), "")
