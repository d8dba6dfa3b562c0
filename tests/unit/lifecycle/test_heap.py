import gc

import pytest

from fastapi_baseline.lifecycle import frozen_heap


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
