from fastapi_baseline.auth.users.trust import NoSecondFactors


async def test_without_second_factors_nobody_has_one() -> None:
    factors = NoSecondFactors()

    await factors.remove("anna")

    assert not await factors.is_enabled("anna")
