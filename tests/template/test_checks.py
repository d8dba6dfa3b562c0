"""What a service's own checks say, with the library installed from a wheel."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., str]
ANSWERS: dict[str, dict[str, str]] = {
    "guarded-service": {},
    "members-service": {"auth": "builtin"},
    "stateless-service": {"database": "none"},
}
KEY = "kf83h1ld0c7vb2ng6mz5xq9wrt4yepauj"
# What a deployment says that is safe, for whatever a service was made with.
DEPLOYMENT = {
    "AUTH__AUDIENCE": "https://api.example.com",
    "AUTH__ISSUER": "https://id.example.com",
    "DATABASE__CURSOR_KEY": KEY,
    "DATABASE_URL": "postgresql://shop:n0-b0dy-kn0ws-th1s@db.example.com/shop",
    "ENVIRONMENT": "production",
}
OF_MEMBERS = {
    "AUTH__PUBLIC_URL": "https://shop.example.com",
    "AUTH__SECRET_KEYS": KEY[::-1],
    "AUTH__USERS__PAGE_URL": "https://shop.example.com",
    "MAIL__SENDER": "shop@example.com",
    "MAIL__SMTP_URL": "smtps://user:n0-w0rd-0f-0thers@mail.example.com:465",
    "RATE_LIMITS__PER_ADDRESS": "600/minute",
    "TRUSTED_PROXIES": "10.0.0.0/8",
}
# What only its owner can decide.
DECIDED = """
[tool.baseline.accepted-findings]
documentation_open = "Partners read it."
"""
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


@pytest.fixture(scope="module")
def fresh_services(
    render_for_session: Callable[..., Path], install: Callable[[Path], None]
) -> dict[str, Path]:
    """Give services in which nobody has done anything yet."""
    made = {name: render_for_session(name, **answers) for name, answers in ANSWERS.items()}
    for folder in made.values():
        install(folder)
    return made


@pytest.mark.parametrize("name", ANSWERS)
def test_has_nothing_wrong_before_its_first_migration_and_may_be_deployed_after_it(
    name: str, fresh_services: dict[str, Path], run: Run, environment: Path, postgres_url: str
) -> None:
    service, baseline = fresh_services[name], environment / "baseline"
    has_database = (service / "alembic").is_dir()
    deployment = DEPLOYMENT | (OF_MEMBERS if name == "members-service" else {})
    with (service / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(DECIDED)

    said = run(baseline, "check", cwd=service)
    assert "Nothing is wrong." in said
    if has_database:
        assert "there are models, and no migration" in said.lower()
        told = run(baseline, "check", "--deploy", "--json", cwd=service, extra=deployment, code=1)
        lacking = [item for item in json.loads(told)["findings"] if item["accepted"] is None]
        assert [item["id"] for item in lacking] == ["first_migration_missing"]
        run(baseline, "db", "revision", "-m", "create items", cwd=service)

    for extra in ({}, {"TEST_DATABASE_URL": postgres_url}):
        run(baseline, "check", "--deploy", cwd=service, extra=deployment | extra)
