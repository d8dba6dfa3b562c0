"""A service that says up to which date it follows changes of defaults."""

import pytest

from fastapi_baseline import ConfigurationError
from fastapi_baseline import Settings as BaselineSettings
from fastapi_baseline.settings import DEFAULTS


# <start>
class Settings(BaselineSettings):
    """The settings of the library, and those of this service."""

    baseline_defaults: str = "2026.11"
    greeting: str = "hello"


# <end>


def test_the_service_follows_its_date() -> None:
    assert Settings.load().baseline_defaults == "2026.11"
    assert DEFAULTS.between("2026.11", "2026.11") == ()


def test_a_date_that_the_library_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASELINE_DEFAULTS", "2999.01")

    with pytest.raises(ConfigurationError, match="upgrade it"):
        Settings.load()
