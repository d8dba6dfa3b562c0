"""A check of a service's own, which `baseline check --deploy` runs with those of the library."""

from collections.abc import Iterator

from pydantic import SecretStr

from fastapi_baseline import Settings as BaselineSettings
from fastapi_baseline import create_app
from fastapi_baseline.app.checks import find_faults

# <start-check>
from fastapi_baseline.deployment_checks import Deployment, add_deployment_checks, find_weakness
from fastapi_baseline.inspection import Finding, inspecting


class Settings(BaselineSettings):
    """The settings of a service that signs what it sends."""

    webhook_key: SecretStr = SecretStr("development")


def check_webhook_key(deployment: Deployment) -> Iterator[Finding]:
    """Find that somebody could sign as the service does."""
    if not isinstance(deployment.settings, Settings):
        return
    weakness = find_weakness(deployment.settings.webhook_key.get_secret_value())
    if weakness:
        yield Finding(
            id="weak_webhook_key",
            what=f"WEBHOOK_KEY {weakness}.",
            remedy="Make one: openssl rand -hex 32",
        )


app = create_app(Settings(environment="test"))
add_deployment_checks(app, check_webhook_key)
# <end-check>


def test_finds_a_weak_key() -> None:
    with inspecting() as inspection:
        inspection.app, inspection.settings = app, app.state.baseline_settings

    found = find_faults(inspection, is_deployment=True)

    assert "weak_webhook_key" in [finding.id for finding in found]
