import asyncio
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from fastapi_baseline.persistence import Database

MAIN = """\
from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth.sessions.models import AuthSession
from fastapi_baseline.auth.users import UserRecord, make_users_router
from fastapi_baseline.auth.users.second_factor_models import RecoveryCode, SecondFactor
from fastapi_baseline.persistence import Base, Timestamps, UUIDPrimaryKey


class Member(Base, UUIDPrimaryKey, Timestamps, UserRecord):
    pass


app = create_app(Settings(service_name="echo"))
app.include_router(make_users_router(Member))
"""
WITHOUT = """\
from fastapi_baseline import Settings, create_app

app = create_app(Settings(service_name="echo"))
"""
CREATE = """\
import asyncio
from echo_service.main import app
asyncio.run(app.state.database.create_all())
"""
READ = """\
import asyncio
from sqlalchemy import select

from fastapi_baseline.persistence import Database
from echo_service.main import Member, app

async def read():
    async with app.state.database.transaction() as session:
        for user in await session.scalars(select(Member)):
            print(user.email, sorted(user.roles), user.password_hash)

asyncio.run(read())
"""
LINK = re.compile(r"^https://club\.example\.com/reset-password#[0-9a-f]{64}$", re.MULTILINE)

CallProcess = Callable[..., "subprocess.CompletedProcess[str]"]
Baseline = Callable[..., "subprocess.CompletedProcess[str]"]


def make(service: Path, main: str) -> None:
    (service / "src/echo_service/main.py").write_text(main, encoding="utf-8")
    (service / ".env").write_text(
        f"AUTH__SESSIONS__ENABLED=true\nAUTH__USERS__PAGE_URL=https://club.example.com\n"
        f"DATABASE_URL=sqlite:///{service / 'users.db'}\n",
        encoding="utf-8",
    )


def run(service: Path, code: str) -> str:
    variables = {**os.environ, "PYTHONPATH": str(service / "src")}  # noqa: TID251 -- for a child process
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=service,
        env=variables,
        capture_output=True,
        check=False,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def baseline(service: Path, call_process: CallProcess) -> Baseline:
    """Give a function that calls `baseline auth user` in a service with users."""
    make(service, MAIN)
    run(service, CREATE)
    return lambda *arguments: call_process(["auth", "user", *arguments], cwd=service)


def test_invites_the_first_user(baseline: Baseline, service: Path) -> None:
    invited = baseline("invite", "Ada@Example.com", "--role", "admin", "--role", "editor")
    again = baseline("invite", "ada@example.com")
    wrong = baseline("invite", "nobody")

    assert invited.returncode == 0, invited.stderr
    assert LINK.search(invited.stdout)
    assert "ada@example.com ['admin', 'editor'] None" in run(service, READ).splitlines()
    for refused, message in ((again, "Another user has this"), (wrong, "not an e-mail address")):
        assert (refused.returncode, refused.stdout) == (1, "")
        assert message in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


@pytest.fixture
def alone(service: Path) -> Generator[Path]:
    """Give the folder of a service that no other test has imported."""
    yield service
    for name in ("echo_service", "echo_service.main"):
        sys.modules.pop(name, None)


# In this process, and once: the model is in the metadata that all tests share.
def test_adds_users_with_a_link_and_disables_them_by_address_or_by_id(
    alone: Path,
    call: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = '    __tablename__ = "cli_disabled_member"\n'
    make(alone, MAIN.replace("UserRecord):\n    pass\n", f"UserRecord):\n{table}"))
    monkeypatch.chdir(alone)
    monkeypatch.setattr(sys, "path", [str(alone / "src"), *sys.path])
    application = importlib.import_module("echo_service.main")
    asyncio.run(application.app.state.database.create_all())

    def ask(*arguments: str) -> tuple[int, str, str]:
        code = call("auth", "user", *arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    added = ask("add", "Ada@Example.com", "--role", "admin")
    bob = json.loads(ask("add", "bob@example.com", "--json")[1])
    again = ask("add", "ada@example.com")
    by_address = ask("disable", "Ada@Example.com")
    by_id = ask("disable", bob["id"], "--json")
    nobody = [ask("disable", who) for who in ("eve@example.com", "nobody")]

    assert added[0] == 0
    assert LINK.search(added[1])
    assert bob.keys() == {"id", "email", "link"}
    assert LINK.fullmatch(bob["link"])
    assert "Disabled: Ada@Example.com." in by_address[1]
    assert json.loads(by_id[1]) == {"id": bob["id"], "is_disabled": True}
    users = asyncio.run(find_users(application))
    assert [(user.email, user.roles) for user in users] == [
        ("ada@example.com", ["admin"]),
        ("bob@example.com", []),
    ]
    assert all(user.disabled_at is not None for user in users)
    for code, out, err in (again, *nobody):
        assert (code, out, len(err.splitlines())) == (1, "", 1)


async def find_users(application: Any) -> Sequence[Any]:
    database: Database = application.app.state.database
    try:
        async with database.read_transaction() as session:
            statement = select(application.Member).order_by(application.Member.email)
            return (await session.scalars(statement)).all()
    finally:
        await database.dispose()


def test_a_service_without_users_has_nobody_to_invite(
    service: Path, call_process: CallProcess
) -> None:
    make(service, WITHOUT)

    refused = call_process(["auth", "user", "invite", "ada@example.com"], cwd=service)

    assert refused.returncode == 1
    assert "no users of its own" in refused.stderr
