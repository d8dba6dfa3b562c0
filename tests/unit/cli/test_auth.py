import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from fastapi_baseline.auth.tokens import make_bearer_tokens
from fastapi_baseline.auth.tokens.development import (
    DEVELOPMENT,
    ISSUER,
    DevelopmentIssuer,
    resolve_development_issuer,
)
from fastapi_baseline.clock import SystemClock
from fastapi_baseline.settings import AuthSettings

# As `create_app` keeps them; nothing here needs a whole application.
MAIN = """\
from types import SimpleNamespace

from fastapi_baseline import Settings

app = SimpleNamespace(state=SimpleNamespace(baseline_settings=Settings(service_name="echo")))
"""
SETTINGS = AuthSettings(issuer=DEVELOPMENT, audience=("orders",))

Call = Callable[..., int]
CallProcess = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def trusting(service: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """Give the folder of a service that trusts the issuer for development."""
    (service / "src/echo_service/main.py").write_text(MAIN, encoding="utf-8")
    (service / ".env").write_text(
        "AUTH__ISSUER=development\nAUTH__AUDIENCE=orders\n", encoding="utf-8"
    )
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(service)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    yield service
    # Another test has another application of this name.
    for name in ("echo_service", "echo_service.main"):
        sys.modules.pop(name, None)


async def test_prints_a_token_that_the_running_service_accepts(
    trusting: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    del trusting
    issuer = DevelopmentIssuer("echo")
    tokens = make_bearer_tokens(
        resolve_development_issuer(SETTINGS, environment="development"),
        clock=SystemClock(),
        key_sources={ISSUER: issuer},
    )

    async with issuer.lifespan(None):
        options = ("--subject", "ann", "--scope", "a", "--scope", "b", "--role", "clerk")
        code = call("auth", "token", *options)
        said = capsys.readouterr()
        principal = await tokens.verify(said.out.strip())

    assert (code, said.err) == (0, "")
    assert principal.subject == "ann"
    assert (principal.scopes, principal.roles) == ({"a", "b"}, {"clerk"})


async def test_a_token_is_for_a_developer_and_an_hour(
    trusting: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    del trusting
    issuer = DevelopmentIssuer("echo")
    clock = SystemClock()
    tokens = make_bearer_tokens(
        resolve_development_issuer(SETTINGS, environment="development"),
        clock=clock,
        key_sources={ISSUER: issuer},
    )

    async with issuer.lifespan(None):
        call("auth", "token")
        principal = await tokens.verify(capsys.readouterr().out.strip())

    assert (principal.subject, principal.scopes, principal.roles) == ("developer", set(), set())
    assert principal.expires_at is not None
    assert 3500 < (principal.expires_at - clock.now()).total_seconds() <= 3600


async def test_another_process_prints_it_too(
    trusting: Path, call_process: CallProcess, tmp_path: Path
) -> None:
    async with DevelopmentIssuer("echo").lifespan(None):
        done = call_process(
            ["auth", "token"],
            cwd=trusting,
            env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},  # noqa: TID251 -- of the test
        )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(".") == 2


def test_says_that_the_service_does_not_run(
    trusting: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    del trusting

    code = call("auth", "token")

    said = capsys.readouterr()
    assert (code, said.out) == (1, "")
    assert "baseline run" in said.err


def test_says_that_the_service_trusts_another_issuer(
    trusting: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    (trusting / ".env").write_text(
        "AUTH__ISSUER=https://id.example\nAUTH__AUDIENCE=orders\n", encoding="utf-8"
    )

    code = call("auth", "token")

    said = capsys.readouterr()
    assert (code, said.out) == (1, "")
    assert "AUTH__ISSUER is not 'development'" in said.err


def test_says_that_the_application_is_none_of_the_library(
    service: Path,
    call: Call,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(service)
    monkeypatch.setattr(sys, "path", [*sys.path])

    code = call("auth", "token")

    sys.modules.pop("echo_service.main", None)
    sys.modules.pop("echo_service", None)
    assert code == 1
    assert "create_app()" in capsys.readouterr().err
