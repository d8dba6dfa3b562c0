"""What tells whether a part of the service is well; the parts have it, and `health` asks."""

from typing import Literal, Protocol


class HealthCheck(Protocol):
    """What tells whether one system that the service needs is reachable."""

    @property
    def name(self) -> str:
        """Return the name of the system, as shown to operators; no two checks share one."""
        ...

    async def check(self) -> None:
        """Return if the system is well, and raise otherwise.

        It is cancelled when its time is up, and runs once at a time.
        """
        ...


class LocalCheck(HealthCheck, Protocol):
    """A check of the process itself: it waits for nothing, so it may decide about liveness."""

    @property
    def is_local(self) -> Literal[True]:
        """Return `True`: `check` ends without ever waiting."""
        ...
