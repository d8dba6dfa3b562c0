"""Alarms for things of which nearly all are over before their time."""

import asyncio
from typing import Generic, Protocol, TypeVar


class Alarmed(Protocol):
    """What is told that its time is up; it is told apart by its identity."""

    def ring(self) -> None:
        """Take note that the time is up."""
        ...


AlarmedT = TypeVar("AlarmedT", bound=Alarmed)


class Alarms(Generic[AlarmedT]):
    """Rings at the times that were set, with one timer of the loop for all of them.

    The timer is for the earliest time that there was when it was started. When it goes off, what is
    over by then has been taken out, and it starts again for the earliest that is left. So a service
    starts a timer every few seconds, and not with every request, which would cost it as much as all
    the rest that there is to a deadline.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use the timers of `loop`, on whose thread all of this is called."""
        self.loop = loop
        self._due: dict[AlarmedT, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, alarmed: AlarmedT, due: float) -> None:
        """Ring at `due`, in the seconds of the loop's `time`, and no more at the time before."""
        self._due[alarmed] = due
        if self._timer is None or due < self._timer.when():
            self._start(due)

    def clear(self, alarmed: AlarmedT) -> None:
        """Do not ring any more."""
        self._due.pop(alarmed, None)

    def _start(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(due, self._go_off)

    def _go_off(self) -> None:
        self._timer = None
        now = self.loop.time()
        for alarmed in [alarmed for alarmed, due in self._due.items() if due <= now]:
            del self._due[alarmed]
            alarmed.ring()
        if self._due and self._timer is None:
            self._start(min(self._due.values()))
