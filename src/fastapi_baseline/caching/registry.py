"""What a service has said to `FastAPICache`, if it uses that.

It is looked up for each request, so that it may be said late, or again. Who has not imported
`fastapi_cache` has said nothing, so nothing is imported here.
"""

import re
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple

_PACKAGE = "fastapi_cache"
_NOT_IN_A_NAMESPACE = re.compile(r"[^A-Za-z0-9._-]+")


class Registry(NamedTuple):
    """What `FastAPICache.init` was called with, as far as responses are concerned."""

    is_enabled: bool = True
    prefix: str = ""
    expire: timedelta | None = None
    key_builder: Callable[..., Any] | None = None


_UNSAID = Registry()


def read_registry() -> Registry:
    """Return what the service has said; nothing, unless it has called `FastAPICache.init`."""
    package: Any = sys.modules.get(_PACKAGE)
    if package is None:
        return _UNSAID
    said: Any = package.FastAPICache
    # These are class attributes: the methods to read them refuse what is not set.
    if not said._init:  # noqa: SLF001 -- nothing public tells, and a test says if it goes
        return _UNSAID if said.get_enable() else Registry(is_enabled=False)
    seconds = said.get_expire()
    builder = said.get_key_builder()
    is_own = builder is not package.default_key_builder and not getattr(builder, "is_ours", False)
    return Registry(
        is_enabled=said.get_enable(),
        prefix=said.get_prefix(),
        expire=timedelta(seconds=seconds) if seconds else None,
        key_builder=builder if is_own else None,
    )


@lru_cache(maxsize=1_000)
def namespace_from(*parts: str) -> str:
    """Return a namespace made of names as `FastAPICache` takes them: `api:users` is `api.users`."""
    joined = ".".join(part.strip(":") for part in parts if part.strip(":"))
    return _NOT_IN_A_NAMESPACE.sub(".", joined)
