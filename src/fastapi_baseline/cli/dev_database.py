"""What `baseline dev` does to the database before it serves, in a process of its own.

`python -m fastapi_baseline.cli.dev_database [--kept] [--only-say]`, in the folder of a service.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from fastapi_baseline.cli.console import print_error, print_notice, without_log
from fastapi_baseline.cli.project import make_importable
from fastapi_baseline.cli.service_settings import load_settings
from fastapi_baseline.errors import BaselineError
from fastapi_baseline.persistence.migrations import commands


def main(arguments: Sequence[str]) -> int:
    """Bring the database of the service in this folder up to date, and return the exit code."""
    root = Path.cwd()
    make_importable(root)
    try:
        with without_log():
            lines = prepare(
                root, is_kept="--kept" in arguments, is_only_said="--only-say" in arguments
            )
    except BaselineError as error:
        print_error(f"The database was not prepared. {' '.join(error.message.split())}")
        return 1
    except Exception as error:  # noqa: BLE001 -- of code that is being written
        print_error(f"The database was not prepared. {type(error).__name__}: {error}")
        return 1
    for line in lines:
        print_notice(line)
    return 0


def prepare(root: Path, *, is_kept: bool, is_only_said: bool) -> list[str]:
    """Apply migrations if that can harm nobody, and return what to tell the developer.

    That is so where the database `is_kept` by `baseline dev`, or is an SQLite file in development.

    Raises:
        BaselineError: If a migration fails, or the database does not answer.
    """
    state = commands.current(root)
    if not state.heads:
        return ['There is no migration yet. Write one: baseline db revision -m "create tables"']
    if state.is_up_to_date:
        return []
    if not is_only_said and (is_kept or _is_a_file_of_development(root)):
        applied = commands.upgrade(root)
        return [f"Applied: {migration.revision} {migration.message}" for migration in applied]
    return ["The database is not up to date. Apply the migrations: baseline db upgrade"]


def _is_a_file_of_development(root: Path) -> bool:
    settings = load_settings(root)
    if settings.environment != "development" or settings.database_url is None:
        return False
    url = settings.database_url.get_secret_value()
    return urlsplit(url).scheme.partition("+")[0] == "sqlite"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
