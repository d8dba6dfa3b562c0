"""What is known about the request that is being answered.

One mutable object is put into a `ContextVar` once, by the outermost layer, and the layers inside
write to the object. A value that an inner layer put into a `ContextVar` of its own would not be
seen by the layers outside: dependencies, threads and tasks run in copies of the context.
"""

from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class RequestContext:
    """One request: its identifier, who sent it, and what happened while it was answered.

    `principal` and `tenant` are set by the features that know them. `fields` go into the access
    log line as they are, so they may hold neither secrets nor personal data.
    """

    request_id: str
    principal: object | None = None
    tenant: str | None = None
    fields: dict[str, object] = field(default_factory=dict[str, object])


request_context: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)
"""The request being answered, or `None` outside of one."""


def current() -> RequestContext | None:
    """Return the context of the request being answered, or `None` outside of one."""
    return request_context.get()
