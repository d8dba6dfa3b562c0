"""Asking the systems that the service needs whether they are well."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from fastapi_baseline.errors import UnavailableError
from fastapi_baseline.lifecycle import HealthCheck

logger = logging.getLogger(__name__)


class NotReadyError(UnavailableError):
    """A system that the service needs is not well."""

    code = "not_ready"
    default_message = "The service is not ready."


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check found; `fault` is `None` if the system is well, and names no secrets."""

    name: str
    fault: str | None


async def run_checks(checks: Sequence[HealthCheck], *, within: timedelta) -> list[CheckResult]:
    """Run all checks at once, and return a result for each in their order.

    A check that raises, or is not done `within` that time, has found a fault. Its cause is
    logged; the result has only its kind, since an error's text may hold an address or a name.
    """

    async def run(check: HealthCheck) -> CheckResult:
        try:
            async with asyncio.timeout(within.total_seconds()):
                await check.check()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the system is not well
            logger.warning("The check %r found a fault: %r", check.name, error.__cause__ or error)
            return CheckResult(name=check.name, fault=type(error).__name__)
        return CheckResult(name=check.name, fault=None)

    return list(await asyncio.gather(*(run(check) for check in checks)))
