"""What the environment tells the service."""

from fastapi_baseline.settings import DatabaseUrl
from fastapi_baseline.settings import Settings as BaselineSettings


class Settings(BaselineSettings):
    """The settings of the library, and those of this service.

    A field added here is read from the variable of the same name in capitals.
    """

    service_name: str = "patients"
    database_url: DatabaseUrl | None = DatabaseUrl("sqlite:///patients.db")
