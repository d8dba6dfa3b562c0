import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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


def test_a_service_without_users_has_nobody_to_invite(
    service: Path, call_process: CallProcess
) -> None:
    make(service, WITHOUT)

    refused = call_process(["auth", "user", "invite", "ada@example.com"], cwd=service)

    assert refused.returncode == 1
    assert "no users of its own" in refused.stderr
