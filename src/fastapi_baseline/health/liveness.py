"""Checks of the process itself, run while their probe waits."""

import logging
from datetime import timedelta

from fastapi_baseline.clock import Clock
from fastapi_baseline.health.registration import CheckRegistration
from fastapi_baseline.health.results import CheckReport, CheckResult, CheckStatus

logger = logging.getLogger(__name__)

WAITED = "Waited"
"""The fault of a check that waits for something, which none of the process itself has to."""


def run_at_once(registration: CheckRegistration, *, clock: Clock) -> CheckReport:
    """Run a check to its end without giving others a turn, and return what it found.

    One that waits for something is cut off, and counts as failed: liveness must not depend on it.
    """
    check = registration.check
    began = clock.monotonic()
    fault: str | None = None
    run = check.check()
    try:
        run.send(None)
    except StopIteration:
        pass
    except Exception as error:  # noqa: BLE001 -- whatever it is, the process is not well
        logger.warning("The check %r found a fault: %r", check.name, error)
        fault = type(error).__name__
    else:
        logger.error("The check %r decides about liveness, and waits for something", check.name)
        run.close()
        fault = WAITED
    return CheckReport(
        name=check.name,
        critical=registration.critical,
        status=CheckStatus.OK if fault is None else CheckStatus.FAILED,
        failures=0 if fault is None else 1,
        result=CheckResult(
            name=check.name,
            fault=fault,
            checked_at=clock.now(),
            duration=timedelta(seconds=clock.monotonic() - began),
        ),
    )
