"""The migrations of the service."""

import os
import subprocess
import sys
from pathlib import Path

SERVICE = Path(__file__).parents[1]


def test_makes_the_tables_of_the_models_and_takes_them_back(database_url: str) -> None:
    for command in (["upgrade"], ["check"], ["downgrade", "base"], ["upgrade"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "fastapi_baseline", "db", *command],
            cwd=SERVICE,
            env={**os.environ, "DATABASE_URL": database_url},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
