"""What the options of a command say of somebody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Who somebody is, and what they may do."""

    subject: str
    scopes: Sequence[str] = ()
    roles: Sequence[str] = ()
    lifetime: timedelta | None = None
