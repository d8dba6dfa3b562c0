"""`baseline dev --services` as the process that it is: with servers, and with code that changes."""

import signal
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from httpx2 import Client, HTTPError

from fastapi_baseline.testing import ServerProcess, server_process

PATIENCE = timedelta(seconds=30)
POLL_SECONDS = 0.05
ROUTER = """\
from fastapi import APIRouter
from fastapi_baseline.access import public
from fastapi_baseline.persistence import Repository, Transaction
from kept_service.domains.notes.models import Note

router = APIRouter()

class Notes(Repository[Note]): ...

@router.post("/notes/{title}")
@public
async def add_note(title: str, session: Transaction) -> str:
    await Notes(session).add(Note(title=title))
    return "first"

@router.get("/notes")
@public
async def count_notes(session: Transaction) -> int:
    return await Notes(session).count()
"""
MIGRATION = """\
import sqlalchemy as sa
from alembic import op

revision = "first"
down_revision = None


def upgrade():
    op.create_table("note", sa.Column("title", sa.String(), primary_key=True))


def downgrade():
    op.drop_table("note")
"""
FILES = {
    "pyproject.toml": '[tool.baseline]\npackage = "kept_service"\n',
    "alembic/env.py": (
        "from fastapi_baseline.persistence.migrations import run_environment\n"
        "from kept_service.settings import Settings\n\n"
        "run_environment(Settings)\n"
    ),
    "alembic/script.py.mako": "",
    "alembic/versions/first.py": MIGRATION,
    "src/kept_service/__init__.py": "",
    "src/kept_service/settings.py": "from fastapi_baseline import Settings\n",
    "src/kept_service/main.py": (
        "from fastapi_baseline import create_app\n"
        "from kept_service.settings import Settings\n\n"
        'app = create_app(Settings.load(), package="kept_service")\n'
    ),
    "src/kept_service/domains/__init__.py": "",
    "src/kept_service/domains/notes/__init__.py": "",
    "src/kept_service/domains/notes/models.py": (
        "from fastapi_baseline.persistence import Base\n"
        "from sqlalchemy.orm import Mapped, mapped_column\n\n\n"
        "class Note(Base):\n    title: Mapped[str] = mapped_column(primary_key=True)\n"
    ),
    "src/kept_service/domains/notes/router.py": ROUTER,
}


@pytest.fixture
def kept_service(tmp_path: Path) -> Path:
    """Give the folder of a service with a table and a migration of it."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@contextmanager
def developed(service: Path) -> Generator[ServerProcess]:
    command = (sys.executable, "-m", "fastapi_baseline", "dev", "--services", "--port")
    with server_process(lambda port: (*command, str(port)), cwd=service) as process:
        yield process


def servers_of(service: Path) -> list[psutil.Process]:
    """Return the servers that work in the folder of a service."""
    kept = str(service / ".baseline")
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(kept):
                found.append(process)
        except psutil.Error:
            continue
    return found


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def eventually(holds: Callable[[], bool]) -> bool:
    ends_at = time.monotonic() + PATIENCE.total_seconds()
    while not holds():
        if time.monotonic() > ends_at:
            return False
        time.sleep(POLL_SECONDS)
    return True


def says(client: Client, title: str, expected: str) -> bool:
    try:
        return client.post(f"/notes/{title}").json() == expected
    except HTTPError:
        return False


def test_serves_changed_code_on_servers_that_keep_their_data_and_end_with_it(
    kept_service: Path,
) -> None:
    router = kept_service / "src/kept_service/domains/notes/router.py"
    with developed(kept_service) as process, Client(base_url=process.base_url) as client:
        first = client.post("/notes/one").json()
        router.write_text(ROUTER.replace('"first"', '"second"'), encoding="utf-8")
        titles = iter(range(1_000))
        is_changed = eventually(lambda: says(client, f"more-{next(titles)}", "second"))
        started = servers_of(kept_service)
        code = process.terminate(timeout=PATIENCE)
    ended = servers_of(kept_service)

    with developed(kept_service) as process, Client(base_url=process.base_url) as client:
        kept = client.get("/notes").json()
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        is_over = eventually(lambda: not servers_of(kept_service) and all(map(has_ended, children)))
        for child in children:
            # Whatever one of them holds open would be waited for.
            with suppress(psutil.Error):
                child.kill()

    assert first == "first"
    assert is_changed
    assert len(started) > 2
    assert code == 0
    assert ended == []
    assert kept >= 2
    assert is_over
