"""Where tests let security events go."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi_baseline.auth.security_events import SecurityEvent


@dataclass
class RecordedEvents:
    """Remembers what happened."""

    recorded: list[SecurityEvent] = field(default_factory=list[SecurityEvent])

    async def record(self, event: SecurityEvent) -> None:
        self.recorded.append(event)

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.recorded]

    def of(self, name: str) -> list[Mapping[str, str]]:
        """Return the details of all that have a name."""
        return [event.details for event in self.recorded if event.name == name]
