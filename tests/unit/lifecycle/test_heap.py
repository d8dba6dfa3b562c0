import gc
from collections.abc import Iterator

import pytest

from fastapi_baseline.lifecycle import frozen_heap, growing_heap


async def test_what_exists_is_passed_over_until_the_end() -> None:
    before = gc.get_freeze_count()

    async with frozen_heap(None):
        inside = gc.get_freeze_count()

    assert inside > before
    assert gc.get_freeze_count() == 0


async def test_a_service_that_fails_leaves_nothing_frozen() -> None:
    with pytest.raises(OSError, match="gone"):
        async with frozen_heap(None):
            raise OSError("gone")

    assert gc.get_freeze_count() == 0


def test_nothing_is_collected_while_the_heap_grows() -> None:
    with growing_heap():
        inside = gc.isenabled()

    assert not inside
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_a_heap_that_nobody_looks_through_stays_so() -> None:
    gc.disable()

    with growing_heap():
        pass

    assert not gc.isenabled()


@pytest.fixture(autouse=True)
def collections() -> Iterator[None]:
    """Leave the collector as it was."""
    yield
    gc.unfreeze()
    gc.enable()
