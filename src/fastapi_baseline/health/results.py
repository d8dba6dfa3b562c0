"""What checks have found, and what follows from it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from fastapi_baseline.errors import FieldError


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one run of one check found.

    `fault` is `None` if all was well, and else the kind of the error, without its text: that may
    hold an address or a password.
    """

    name: str
    fault: str | None
    checked_at: datetime
    duration: timedelta


class CheckStatus(StrEnum):
    """What a check says about its system now.

    It is `failing` when its last runs failed, but not yet so many that it counts as `failed`;
    `stale` when its last run is too long ago, and `pending` before its first.
    """

    OK = "ok"
    FAILING = "failing"
    FAILED = "failed"
    STALE = "stale"
    PENDING = "pending"

    @property
    def is_up(self) -> bool:
        """Return whether the system counts as well."""
        return self in {CheckStatus.OK, CheckStatus.FAILING}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """One check: what it says, the run that says so, and how often it has failed in a row."""

    name: str
    critical: bool
    status: CheckStatus
    failures: int
    result: CheckResult | None

    def as_field(self) -> FieldError:
        """Return what is wrong, as a part of a problem."""
        fault = self.result.fault if self.result is not None else None
        detail = f"The check failed with {fault}." if fault else f"The check is {self.status}."
        return FieldError(path=(self.name,), detail=detail, code="check_failed", location="checks")

    def as_json(self) -> dict[str, object]:
        """Return all that is known, for operators."""
        result = self.result
        return {
            "status": self.status,
            "critical": self.critical,
            "failures": self.failures,
            "fault": result.fault if result else None,
            "checked_at": result.checked_at.isoformat() if result else None,
            "duration_ms": round(result.duration.total_seconds() * 1000, 2) if result else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """The checks of one group, by name, in the order of their registration."""

    checks: Mapping[str, CheckReport]

    @property
    def is_up(self) -> bool:
        """Return whether all critical checks are."""
        return all(check.status.is_up for check in self.checks.values() if check.critical)

    @property
    def status(self) -> str:
        """Return `ok`, `degraded` if only checks that are not critical fail, or `down`."""
        if not self.is_up:
            return "down"
        return "degraded" if any(self.faults()) else "ok"

    def faults(self) -> Iterator[CheckReport]:
        """Yield the checks that fail."""
        return (check for check in self.checks.values() if not check.status.is_up)
