"""What a service's own checks say, with the library installed from a wheel."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., str]
CHECKS = ("-m", "pytest", "-q", "--baseline", "-k", "baseline::")


@pytest.fixture(scope="module")
def service(
    render_for_session: Callable[..., Path],
    install: Callable[[Path], None],
    environment: Path,
    run: Run,
) -> Path:
    """Give a service as its user has it after the first steps."""
    folder = render_for_session("checked-service")
    install(folder)
    run(environment / "baseline", "db", "revision", "-m", "create items", cwd=folder)
    (folder / "uv.lock").touch()
    run("git", "init", "--quiet", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    run("git", *who, "commit", "--quiet", "--message", "As it was made", cwd=folder)
    return folder


def test_has_the_checks_of_the_library_as_tests_and_they_bite(
    service: Path, run: Run, environment: Path
) -> None:
    said = run(environment / "python", *CHECKS, cwd=service)
    assert "3 passed" in said
    (migration,) = (service / "alembic/versions").glob("*.py")
    text = migration.read_text(encoding="utf-8")

    migration.write_text(text.partition("def downgrade")[0] + "def downgrade() -> None: ...\n")
    said = run(environment / "python", *CHECKS, cwd=service, code=1)

    assert "migration_irreversible: " in said
    assert "1 failed, 2 passed" in said
    migration.write_text(text, encoding="utf-8")


def test_has_not_drifted_as_long_as_nobody_edits_it(
    service: Path, run: Run, environment: Path
) -> None:
    said = run(environment / "baseline", "doctor", "--json", cwd=service)

    told = json.loads(said)
    assert told["findings"] == []
    states = {file["path"]: file["state"] for file in told["files"]}
    assert {path for path, state in states.items() if state == "added"} == {
        "uv.lock",
        next(path for path in states if path.startswith("alembic/versions/")),
    }
    assert set(states.values()) == {"same", "added"}
