"""What runs the checks of a service, and what it has found."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager

from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.health.errors import UnknownHealthGroupError
from fastapi_baseline.health.liveness import run_at_once
from fastapi_baseline.health.registration import (
    LIVE,
    STARTUP,
    CheckRegistration,
    HealthGroup,
    members_of_groups,
    registered,
)
from fastapi_baseline.health.results import HealthReport
from fastapi_baseline.health.watched import ResultHook, WatchedCheck
from fastapi_baseline.lifecycle import Availability, HealthCheck
from fastapi_baseline.settings import HealthSettings


class HealthMonitor:
    """Runs checks beside the requests, and answers from what they found last.

    So a storm of probes asks no database, and a system that hangs holds up no probe. Each check has
    a pace of its own; one that fails runs again after a second. Where no lifespan runs, as in an
    application that is mounted in another, a probe runs what is due, and others wait for it.
    """

    def __init__(
        self,
        checks: Iterable[HealthCheck | CheckRegistration] = (),
        *,
        settings: HealthSettings | None = None,
        clock: Clock | None = None,
        groups: Sequence[HealthGroup] = (),
        availability: Availability | None = None,
        on_result: ResultHook | None = None,
        in_background: bool = True,
    ) -> None:
        """Check with the pace of `settings`; `on_result` is told what each run found.

        Unless `in_background`, checks run only while a probe waits for them: for tests, in which
        nobody else may be at the database.

        Raises:
            ConfigurationError: If names are used twice, a group or a check that is named does not
                exist, or liveness would depend on another system.
        """
        settings = settings or HealthSettings()
        clock = clock or SystemClock()
        registrations = registered(checks)
        self._members = members_of_groups(registrations, groups)
        self._watched = {
            registration.check.name: WatchedCheck(
                registration, settings=settings, clock=clock, on_result=on_result
            )
            for registration in registrations
        }
        self._clock = clock
        self._in_background = in_background
        self._is_watching = False
        self.availability = availability or Availability()
        """Whether the process takes traffic, whatever its checks say."""

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncGenerator[None]:
        """Run the checks while the application serves, beginning at once."""
        del app
        # Held here, cancelled below. A TaskGroup would wrap errors of the lifespans inside.
        watches = [
            asyncio.create_task(watched.watch())  # noqa: TID251 -- held here
            for watched in (self._watched.values() if self._in_background else ())
        ]
        self._is_watching = self._in_background
        try:
            yield
        finally:
            self._is_watching = False
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
            await asyncio.gather(*(watched.stop() for watched in self._watched.values()))

    async def refresh(self) -> None:
        """Run all checks now, and return when they have ended."""
        await asyncio.gather(*(watched.refresh() for watched in self._watched.values()))

    async def report(self, group: str | None = None) -> HealthReport:
        """Return what the checks of a group have found, by default those of all checks.

        It waits only for checks that have never run, and not longer than they may take.

        Raises:
            UnknownHealthGroupError: If there is no such group.
        """
        watched = self._members_of(group)
        due = [check for check in watched if self._is_needed(check)]
        if due:
            await asyncio.gather(*(check.refresh() for check in due))
        return HealthReport(checks={check.name: check.history.report() for check in watched})

    async def has_started(self) -> bool:
        """Return whether each check of the group `startup` has once found its system well."""
        watched = self._members_of(STARTUP)
        if not all(check.history.has_passed for check in watched):
            await self.report(STARTUP)
        return all(check.history.has_passed for check in watched if check.registration.critical)

    def report_liveness(self) -> HealthReport:
        """Run the checks of the process itself, which wait for nothing, and return their findings."""
        return HealthReport(
            checks={
                name: run_at_once(self._watched[name].registration, clock=self._clock)
                for name in self._members[LIVE]
            }
        )

    def _members_of(self, group: str | None) -> list[WatchedCheck]:
        if group is None:
            return list(self._watched.values())
        if group not in self._members:
            raise UnknownHealthGroupError
        return [self._watched[name] for name in self._members[group]]

    def _is_needed(self, check: WatchedCheck) -> bool:
        return not check.history.has_run or (not self._is_watching and check.is_due)
