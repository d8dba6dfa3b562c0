from fastapi_baseline.persistence.migrations import run_environment

from order_service.settings import Settings

# Where the sessions of people are kept who sign in with the provider, unless that is Redis.
run_environment(
    Settings,
    models=["fastapi_baseline.auth.sessions.models", "fastapi_baseline.auth.login.models"],
)
