import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Call = Callable[..., int]
Capture = pytest.CaptureFixture[str]

SETTINGS = """\
from typing import ClassVar

from fastapi_baseline.settings import BehaviourChange, DatedDefaults
from fastapi_baseline.settings import Settings as BaselineSettings


class Settings(BaselineSettings):
    dated_defaults: ClassVar[DatedDefaults] = DatedDefaults(
        oldest="2026.11",
        latest="2027.03",
        changes=(
            BehaviourChange(
                setting="requests.timeout", old="30", new="20", since="2027.03",
                why="Balancers give up sooner.",
            ),
        ),
    )
"""
PLAIN = "from fastapi_baseline import Settings\n"
MAIN = """\
from fastapi_baseline import create_app

from listed_service.settings import Settings

app = create_app(Settings.load())
"""
COMPOSE = """\
services:
  service:
    build: .
    environment:
      REQUESTS__TIME_OUT: "10"
      LOG__LEVEL: INFO
  worker:
    build: .
    environment:
      - FORGOTTEN=1
      - REDIS_URL
  silent:
    build: .
  database:
    image: postgres
    environment:
      POSTGRES_PASSWORD: secret
"""


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the folder of a service, to be imported from it, in which this process works."""
    folder = tmp_path / "listed-service"
    package = folder / "src/listed_service"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[tool.baseline]\npackage = "listed_service"\n', encoding="utf-8"
    )
    (package / "__init__.py").touch()
    (package / "settings.py").write_text(PLAIN, encoding="utf-8")
    (package / "main.py").write_text(MAIN, encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield folder
    # Another test has another application of this name.
    for name in ("listed_service", "listed_service.main", "listed_service.settings"):
        sys.modules.pop(name, None)


def test_names_what_nothing_reads_and_what_could_change(
    listed: Path, call: Call, capsys: Capture
) -> None:
    (listed / "src/listed_service/settings.py").write_text(SETTINGS, encoding="utf-8")
    (listed / ".env").write_text("# GONE=1\nLOG_LEVEL=INFO\n", encoding="utf-8")
    (listed / ".env.example").write_text("# GONE=1\nLOG__LEVEL=INFO\n", encoding="utf-8")
    (listed / "compose.yaml").write_text(COMPOSE, encoding="utf-8")

    assert call("update", "--checklist") == 0

    assert capsys.readouterr().out.splitlines() == [
        "Before you deploy:",
        "  .env: no setting reads LOG_LEVEL; is it LOG__LEVEL now?",
        "  .env.example: no setting reads GONE",
        "  compose.yaml: no setting reads REQUESTS__TIME_OUT; is it REQUESTS__TIMEOUT now?",
        "  compose.yaml: no setting reads FORGOTTEN",
        (
            "  REQUESTS__TIMEOUT becomes 20 when you raise the defaults to 2027.03: "
            "Balancers give up sooner. To keep what it does now: REQUESTS__TIMEOUT=30"
        ),
    ]


def test_says_it_for_programs(listed: Path, call: Call, capsys: Capture) -> None:
    (listed / ".env").write_text("LOG_LEVEL=INFO\n", encoding="utf-8")

    assert call("update", "--checklist", "--json") == 0

    assert json.loads(capsys.readouterr().out) == {
        "unread": [{"file": ".env", "name": "LOG_LEVEL", "closest": "LOG__LEVEL"}],
        "changes": [],
    }


@pytest.mark.usefixtures("listed")
def test_says_that_there_is_nothing_to_see_to(call: Call, capsys: Capture) -> None:
    assert call("update", "--checklist") == 0

    assert capsys.readouterr().out == "✓ There is nothing to see to before you deploy.\n"


@pytest.mark.parametrize("content", ["", "- a\n", "services:\n  a: text\n"])
def test_passes_over_a_compose_file_without_services(
    content: str, listed: Path, call: Call
) -> None:
    (listed / "compose.yaml").write_text(content, encoding="utf-8")

    assert call("update", "--checklist") == 0


def test_says_that_a_compose_file_cannot_be_read(listed: Path, call: Call, capsys: Capture) -> None:
    (listed / "compose.yaml").write_text("services: [", encoding="utf-8")

    assert call("update", "--checklist") == 1

    assert "compose.yaml cannot be read" in capsys.readouterr().err
