from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fastapi_baseline.errors import UnavailableError
from fastapi_baseline.rate_limiting.decisions import Decision, Demand
from fastapi_baseline.rate_limiting.engine import RateLimitEngine
from fastapi_baseline.rate_limiting.memory import MemoryRateLimitStore
from fastapi_baseline.rate_limiting.penalties import Penalty, PenaltyBox

MINUTE = timedelta(minutes=1)
PENALTY = Penalty(name="abuse", strikes=1, window=MINUTE, duration=MINUTE)


class AbsentStore(MemoryRateLimitStore):
    async def acquire(self, demands: Sequence[Demand]) -> Decision:
        raise UnavailableError

    async def charge(self, demands: Sequence[Demand]) -> None:
        raise UnavailableError


@pytest.mark.parametrize(("mode", "ban"), [("local", True), ("open", False), ("closed", False)])
async def test_bans_nobody_of_whom_it_is_not_known_how_many_strikes_there_were(
    mode: Any, *, ban: bool
) -> None:
    engine = RateLimitEngine(local=MemoryRateLimitStore(), shared=AbsentStore())
    box = PenaltyBox(replace(PENALTY, failure_mode=mode), engine=engine)

    bans = [await box.strike("ann") for _ in range(2)]

    assert bans == [False, ban]


def test_refuses_values_that_no_limit_has() -> None:
    engine = RateLimitEngine(local=MemoryRateLimitStore())

    with pytest.raises(ValueError, match="A window is not empty"):
        PenaltyBox(replace(PENALTY, duration=timedelta(0)), engine=engine)
