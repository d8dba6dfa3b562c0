import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from fastapi_baseline import __version__

Run = Callable[..., str]

# How a release before this one would have made a service.
RENDER = """\
import pathlib, sys
from fastapi_baseline.releases.repository import release_repository

with release_repository() as repository:
    first = repository.versions[0]
    repository.render(first, {"service_name": "order-service"}, pathlib.Path(sys.argv[1]))
"""
# Nothing but a folder of this machine may be asked: an address of the network is an error.
WITHOUT_NETWORK = {"GIT_ALLOW_PROTOCOL": "file"}
IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
FILES_ONLY = ("--no-lock", "--no-check", "--no-tests")


@pytest.fixture
def another_environment(tmp_path: Path, run: Run, uv: Sequence[str], wheelhouse: Path) -> Path:
    """Give the programs of an environment that has the command line, and no service's needs."""
    folder = tmp_path / "another"
    programs = folder / "bin"
    run(*uv, "venv", "--quiet", "--python", sys.executable, folder, cwd=tmp_path)
    run(
        *(*uv, "pip", "install", "--quiet", "--python", programs / "python"),
        *("--find-links", wheelhouse, "--refresh-package", "fastapi-baseline"),
        "fastapi-baseline[cli]",
        cwd=tmp_path,
    )
    return programs


def test_updates_from_another_environment_than_it_was_made_in_without_a_network(
    environment: Path, another_environment: Path, run: Run, tmp_path: Path
) -> None:
    service = tmp_path / "order-service"
    run(another_environment / "python", "-c", RENDER, service, cwd=tmp_path, extra=WITHOUT_NETWORK)
    shutil.rmtree(another_environment.parent)
    run("git", "init", "--quiet", cwd=service)
    run("git", "add", "--all", cwd=service)
    run("git", *IDENTITY, "commit", "--quiet", "--message", "As it was made", cwd=service)

    said = run(environment / "baseline", "update", *FILES_ONLY, cwd=service, extra=WITHOUT_NETWORK)

    answers = yaml.safe_load((service / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert answers["_commit"] == f"v{__version__}"
    assert f">={__version__}," in (service / "pyproject.toml").read_text(encoding="utf-8")
    assert "conflict" not in said
    run(environment / "ruff", "check", ".", cwd=service)
    run(environment / "ruff", "format", "--check", ".", cwd=service)
