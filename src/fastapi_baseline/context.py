"""What is known about the request that is being answered.

One mutable object is put into a `ContextVar` once, by the outermost layer, and the layers inside
write to the object. A value that an inner layer put into a `ContextVar` of its own would not be
seen by the layers outside: dependencies, threads and tasks run in copies of the context.
"""

from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta

from fastapi_baseline.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment by which the response to a request must have begun.

    `expires_at` is in the seconds of the clock's `monotonic`.
    """

    expires_at: float
    clock: Clock = field(default_factory=SystemClock)

    def remaining(self) -> timedelta:
        """Return the time that is left, and zero once there is none."""
        return timedelta(seconds=max(0.0, self.expires_at - self.clock.monotonic()))


@dataclass(slots=True)
class StatementCounts:
    """The statements that a request has sent to databases, and how long they took.

    They are told apart by their texts, which have placeholders and no values.
    """

    count: int = 0
    seconds: float = 0.0
    by_text: dict[str, int] = field(default_factory=dict[str, int])

    def record(self, text: str, seconds: float) -> None:
        """Count one statement."""
        self.count += 1
        self.seconds += seconds
        self.by_text[text] = self.by_text.get(text, 0) + 1

    def find_most_repeated(self) -> tuple[str, int] | None:
        """Return the text that was sent most often, and how often; `None` if none was sent."""
        return max(self.by_text.items(), key=lambda pair: pair[1], default=None)


@dataclass(slots=True, kw_only=True)
class RequestContext:
    """One request: its identifier, who sent it, and what happened while it was answered.

    `principal` and `tenant` are set by the features that know them. `fields` go into the access
    log line as they are, so they may hold neither secrets nor personal data. `deadline` is `None`
    if the request may take any time. `redis_retry_at` is set when the request has waited for Redis in
    vain; until then, in monotonic seconds, it does not ask again.
    """

    request_id: str
    principal: object | None = None
    tenant: str | None = None
    deadline: Deadline | None = None
    statements: StatementCounts = field(default_factory=StatementCounts)
    redis_retry_at: float | None = None
    fields: dict[str, object] = field(default_factory=dict[str, object])


request_context: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)
"""The request being answered, or `None` outside of one."""


def current() -> RequestContext | None:
    """Return the context of the request being answered, or `None` outside of one."""
    return request_context.get()


def remaining_time() -> timedelta | None:
    """Return how long the request being answered may still take, or `None` if any time.

    Pass it on as the timeout of what the request waits for: work that nobody waits for any more
    helps nobody.
    """
    request = request_context.get()
    return None if request is None or request.deadline is None else request.deadline.remaining()
