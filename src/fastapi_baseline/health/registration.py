"""Which checks there are, how they are run, and what they decide."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.lifecycle import HealthCheck

LIVE = "live"
READY = "ready"
STARTUP = "startup"
_OWN_GROUPS = (LIVE, READY, STARTUP)


@dataclass(frozen=True, slots=True)
class CheckRegistration:
    """One check, and what depends on it.

    While a critical check fails, the groups that it is in are down; others only make the service
    degraded. `timeout` and `interval` are those of the settings unless they are given.

    `live` takes only a `LocalCheck`: a process that is started again because a database is away
    comes back to the same database, and has lost what it was doing.
    """

    check: HealthCheck
    critical: bool = True
    groups: Collection[str] = (READY,)
    timeout: timedelta | None = None
    interval: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthGroup:
    """Checks that are asked for together, at `/health/{name}`.

    `include` names its members, by default all checks; `exclude` takes some of them out. A group
    that is called `ready` or `startup` replaces what the checks say of themselves.
    """

    name: str
    include: Collection[str] | None = None
    exclude: Collection[str] = ()


def registered(checks: Iterable[HealthCheck | CheckRegistration]) -> list[CheckRegistration]:
    """Return a registration for each check, in their order.

    Raises:
        ConfigurationError: If two checks have one name, or liveness would depend on another system.
    """
    registrations = [
        check if isinstance(check, CheckRegistration) else CheckRegistration(check)
        for check in checks
    ]
    names = [registration.check.name for registration in registrations]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"Two health checks are called {_listed(repeated)}.")
    for registration in registrations:
        _require_local(registration)
    return registrations


def members_of_groups(
    registrations: Sequence[CheckRegistration], groups: Sequence[HealthGroup]
) -> dict[str, tuple[str, ...]]:
    """Return the names of the checks of each group.

    Raises:
        ConfigurationError: If a check names a group, or a group a check, that does not exist, or
            two groups have one name.
    """
    declared = [group.name for group in groups]
    if repeated := sorted({name for name in declared if declared.count(name) > 1}):
        raise ConfigurationError(f"Two groups of health checks are called {_listed(repeated)}.")
    if LIVE in declared:
        message = f"The group {LIVE!r} cannot be declared: name it in CheckRegistration.groups."
        raise ConfigurationError(message)
    members = {
        name: tuple(r.check.name for r in registrations if name in r.groups)
        for name in (*_OWN_GROUPS, *declared)
    }
    for registration in registrations:
        if unknown := sorted(set(registration.groups) - members.keys()):
            message = (
                f"The health check {registration.check.name!r} is in {_listed(unknown)}, "
                f"which is no group. There are: {_listed(members)}."
            )
            raise ConfigurationError(message)
    names = tuple(registration.check.name for registration in registrations)
    return members | {group.name: _select(group, names) for group in groups}


def _select(group: HealthGroup, names: Sequence[str]) -> tuple[str, ...]:
    included = set(names) if group.include is None else set(group.include)
    if unknown := sorted((included | set(group.exclude)) - set(names)):
        message = (
            f"The group {group.name!r} names {_listed(unknown)}, which is no health check. "
            f"There are: {_listed(names)}."
        )
        raise ConfigurationError(message)
    return tuple(name for name in names if name in included and name not in group.exclude)


def _require_local(registration: CheckRegistration) -> None:
    if LIVE not in registration.groups or getattr(registration.check, "is_local", False):
        return
    message = (
        f"The health check {registration.check.name!r} cannot decide about liveness: a restart "
        f"does not mend another system. Only a check of the process itself may, with is_local=True."
    )
    raise ConfigurationError(message)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
