"""The settings of a service: how they are read, what follows from them, and what is refused."""

from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar, Self

from pydantic import ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsError

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.inspection import Finding
from fastapi_baseline.settings.defaults import DEFAULTS, DatedDefaults, DatedSource
from fastapi_baseline.settings.tree import SettingsTree


class Settings(SettingsTree):
    """The settings of a service; subclass it to add its own.

    Raises:
        ConfigurationError: From `Settings.load()`, naming each variable that is wrong.
    """

    dated_defaults: ClassVar[DatedDefaults] = DEFAULTS
    """What `BASELINE_DEFAULTS` chooses from."""

    @property
    def is_deployed(self) -> bool:
        """Return whether people depend on this process: staging and production."""
        return self.environment in {"staging", "production"}

    @property
    def shows_health_details(self) -> bool:
        """Return whether `/readyz` names its checks."""
        return not self.is_deployed if self.health.details is None else self.health.details

    @property
    def drain_delay(self) -> timedelta:
        """Return how long the service goes on serving after SIGTERM."""
        default = timedelta(seconds=5) if self.is_deployed else timedelta(0)
        return default if self.shutdown.drain_delay is None else self.shutdown.drain_delay

    @property
    def trace_ratio(self) -> float:
        """Return which share of the requests is traced, unless the caller has decided."""
        default = 0.1 if self.is_deployed else 1.0
        return default if self.tracing.sample_ratio is None else self.tracing.sample_ratio

    def check(self) -> None:
        """Refuse combinations that start and then harm.

        Raises:
            ConfigurationError: If a default for development is used in a deployed environment, or
                credentials are allowed for every origin.
        """
        for contradiction in self.find_contradictions():
            raise ConfigurationError(contradiction.message)

    def find_contradictions(self) -> Iterator[Finding]:
        """Give each of these combinations that there is."""
        if (
            self.is_deployed
            and self.database_url is not None
            and "database_url" not in self.model_fields_set
        ):
            yield Finding(
                id="default_database",
                what=(
                    f"DATABASE_URL is not set. The default database is for development, and "
                    f"ENVIRONMENT is {self.environment!r}."
                ),
                remedy="Set it.",
            )
        if self.requests.timeout and self.idempotency.lock_timeout <= self.requests.timeout:
            yield Finding(
                id="idempotency_lock_too_short",
                what=(
                    "IDEMPOTENCY__LOCK_TIMEOUT must be longer than REQUESTS__TIMEOUT: a request "
                    "that is still running would be carried out a second time."
                ),
                remedy="Set it to more.",
            )
        # `null` is the origin of a frame with `sandbox`, which every site can have.
        for origin in {"*", "null"}.intersection(self.cors_origins):
            if self.cors.allow_credentials:
                yield Finding(
                    id="cors_any_origin_with_credentials",
                    what=(
                        f"CORS_ORIGINS contains {origin!r} and CORS__ALLOW_CREDENTIALS is true: "
                        "every site could act for its visitors."
                    ),
                    remedy="Name the origins.",
                )

    @classmethod
    def settings_customise_sources(  # noqa: PLR0917 -- as pydantic-settings calls it
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where settings are read from, the first that says something counting."""
        sources = (init_settings, env_settings, dotenv_settings, file_secret_settings)
        if not cls.dated_defaults.changes:
            return sources
        # It gives only what none of the others says, so that its place is none of its importance.
        return (DatedSource(settings_cls, cls.dated_defaults, others=sources), *sources)

    @field_validator("baseline_defaults")
    @classmethod
    def _check_defaults(cls, date: str) -> str:
        return cls.dated_defaults.check(date)

    @classmethod
    def load(cls) -> Self:
        """Read the environment, and say in one line what is wrong with it.

        Raises:
            ConfigurationError: If a variable is missing or wrong; its value is not repeated.
        """
        try:
            return cls()
        except ValidationError as error:
            faults = "; ".join(
                f"{'__'.join(map(str, fault['loc'])).upper()}: {fault['msg']}"
                for fault in error.errors(include_url=False, include_input=False)
            )
            raise ConfigurationError(f"The settings are not valid. {faults}") from error
        except SettingsError as error:
            # Of a whole section that is not JSON; the message names the variable only.
            raise ConfigurationError(f"The settings are not valid. {error}") from error
