"""How parts of an application start, stop and say whether they are well."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

StatelessLifespan = Callable[[Any], AbstractAsyncContextManager[None]]
StatefulLifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]
Lifespan = StatelessLifespan | StatefulLifespan
"""Takes the application; entered before its first request and left after its last.

What it yields, if anything, is the state that every request starts with (`request.state`).
"""


class HealthCheck(Protocol):
    """What tells whether one system that the service needs is reachable."""

    @property
    def name(self) -> str:
        """Return the name of the system, as shown to operators."""
        ...

    async def check(self) -> None:
        """Return if the system is well, and raise otherwise.

        It is cancelled when the time for all checks is up, and may run many times at once.
        """
        ...


def chain_lifespans(*lifespans: Lifespan) -> StatefulLifespan:
    """Return one lifespan that enters all of them in order and leaves them in reverse.

    The states that they yield are merged; of two values with one name, the later one counts.
    """

    @asynccontextmanager
    async def chained(app: object) -> AsyncGenerator[dict[str, Any]]:
        state: dict[str, Any] = {}
        async with AsyncExitStack() as stack:
            for lifespan in lifespans:
                state.update(await stack.enter_async_context(lifespan(app)) or {})
            yield state

    return chained
