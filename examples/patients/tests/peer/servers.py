"""The real json-server and this service, each with the same patients, on sockets of their own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi_baseline.testing import server_process, uvicorn_server
from httpx2 import Client

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
SERVICE = HERE.parents[1]
PROGRAM = HERE / "node_modules/json-server/lib/cli/bin.js"
ORIGIN = "http://localhost:5173"


@dataclass(frozen=True, kw_only=True)
class Peers:
    """A client of each."""

    theirs: Client
    ours: Client


def install() -> Path:
    """Install what the lock file says, and return json-server's program."""
    for needed in ("node", "npm"):
        if shutil.which(needed) is None:
            pytest.fail(f"{needed} is not on PATH. On Debian: apt-get install nodejs npm")
    lock = HERE / "package-lock.json"
    installed = HERE / "node_modules/.installed-from"
    if not installed.is_file() or installed.read_bytes() != lock.read_bytes():
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(command, cwd=HERE, check=True, timeout=300)
        installed.write_bytes(lock.read_bytes())
    return PROGRAM


def valid_patients() -> list[dict[str, Any]]:
    """Return those patients of the data that keep the rules, and some with unusual text."""
    expected = json.loads((DATA / "patients_db.expected.json").read_text(encoding="utf-8"))
    refused = {record["index"] for record in expected["records"]}
    given = json.loads((DATA / "patients_db.json").read_text(encoding="utf-8"))["patients"]
    unusual = json.loads((HERE / "unusual_patients.json").read_text(encoding="utf-8"))
    return [*(p for index, p in enumerate(given) if index not in refused), *unusual]


@contextmanager
def started(program: Path, folder: Path, database_url: str) -> Generator[Peers]:
    """Start both in `folder`, each with a copy of the valid patients."""
    data = folder / "db.json"
    data.write_text(json.dumps({"patients": valid_patients()}), encoding="utf-8")
    environment = {
        "CORS_ORIGINS": ORIGIN,
        "DATABASE_URL": database_url,
        "ENVIRONMENT": "test",
        "LOG__LEVEL": "WARNING",
    }
    _run("-m", "fastapi_baseline", "db", "upgrade", environment=environment)
    _run("-m", "patients.import_json", str(data), environment=environment)
    with (
        server_process(
            lambda port: ["node", str(program), "-q", f"-p={port}", "-H=127.0.0.1", str(data)],
            cwd=folder,
            ready_path="/patients?_limit=1",
        ) as theirs,
        uvicorn_server("patients.main:app", env=environment, cwd=folder) as ours,
        Client(base_url=theirs.base_url) as their_client,
        Client(base_url=ours.base_url) as our_client,
    ):
        yield Peers(theirs=their_client, ours=our_client)


def _run(*command: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=SERVICE,
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
