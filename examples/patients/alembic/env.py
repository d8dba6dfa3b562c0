from fastapi_baseline.persistence.migrations import run_environment

from patients.settings import Settings

run_environment(Settings)
