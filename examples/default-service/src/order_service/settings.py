"""What the environment tells the service."""

from fastapi_baseline.settings import AuthSettings, DatabaseUrl
from fastapi_baseline.settings import Settings as BaselineSettings


class Settings(BaselineSettings):
    """The settings of the library, and those of this service.

    A field added here is read from the variable of the same name in capitals.
    """

    # Up to which date it follows changes of the library's defaults. No update raises it:
    # `baseline defaults diff` shows what a later date changes.
    baseline_defaults: str = "2026.11"
    service_name: str = "order-service"
    database_url: DatabaseUrl | None = DatabaseUrl("sqlite:///order_service.db")
    # In development, tokens of this machine count: `baseline auth token` prints one.
    auth: AuthSettings = AuthSettings(
        issuer="development",
        audience=("order-service",),
    )
