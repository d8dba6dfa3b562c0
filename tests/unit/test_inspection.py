import pytest

from fastapi_baseline import Settings, create_app
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.inspection import inspecting, note, refusing
from fastapi_baseline.settings import CorsSettings

OPEN = Settings(environment="test", cors_origins=("*",), cors=CorsSettings(allow_credentials=True))


def test_a_refusal_is_an_error_unless_somebody_inspects() -> None:
    with pytest.raises(ConfigurationError, match="Not like this"), refusing():
        raise ConfigurationError("Not like this.")


def test_an_inspection_collects_all_refusals() -> None:
    with inspecting() as inspection:
        for message in ("First.", "Second."):
            with refusing():
                raise ConfigurationError(message)

    assert [refusal.error.message for refusal in inspection.refusals] == ["First.", "Second."]


def test_what_is_no_refusal_is_an_error_for_whoever_inspects() -> None:
    with pytest.raises(ZeroDivisionError), inspecting(), refusing():
        raise ZeroDivisionError


def test_refuses_again_when_the_inspection_is_over() -> None:
    with inspecting():
        pass

    with pytest.raises(ConfigurationError), refusing():
        raise ConfigurationError


def test_nobody_hears_of_an_application_who_does_not_inspect() -> None:
    note(app="unheard", settings="unheard")

    with inspecting() as inspection:
        pass
    assert (inspection.app, inspection.settings) == (None, None)


def test_an_application_that_would_not_start_can_be_inspected() -> None:
    with pytest.raises(ConfigurationError):
        create_app(OPEN, configure_logging=False)

    with inspecting() as inspection:
        app = create_app(OPEN, configure_logging=False)

    assert (inspection.app, inspection.settings) == (app, OPEN)
    assert "CORS_ORIGINS" in inspection.refusals[0].error.message


def test_the_settings_are_known_of_an_application_that_cannot_be_made() -> None:
    settings = Settings(environment="test", trusted_proxies=("nowhere",))

    with inspecting() as inspection, pytest.raises(ConfigurationError):
        create_app(settings, configure_logging=False)

    assert inspection.settings is settings
