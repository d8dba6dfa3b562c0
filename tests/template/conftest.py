"""Services rendered from the template of the working tree, and one environment to check them in."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import copier
import pytest

from fastapi_baseline.cli.new import template_folder
from tests.template.deployed import DEPLOYED

ROOT = Path(__file__).parents[2]
# What a shell may set for another service.
FOREIGN = {
    *(
        "AUTH__AUDIENCE",
        "AUTH__ISSUER",
        "DATABASE_URL",
        "ENVIRONMENT",
        "PORT",
        "REDIS_URL",
        "TEST_DATABASE_URL",
    ),
    *("UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "VIRTUAL_ENV"),
}

Run = Callable[..., str]
Render = Callable[..., Path]


@pytest.fixture(scope="session")
def clean_environment() -> dict[str, str]:
    """Give variables for programs: those of this process, without settings of a service."""
    variables = dict(os.environ)  # noqa: TID251 -- for child processes
    return {name: value for name, value in variables.items() if name not in FOREIGN}


@pytest.fixture(scope="session")
def run(clean_environment: dict[str, str]) -> Run:
    """Give a function that runs a program, and fails with what it said unless it succeeds."""

    def run_program(
        *command: str | Path, cwd: Path, extra: dict[str, str] | None = None, code: int = 0
    ) -> str:
        result = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=clean_environment | (extra or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
        )
        shown = " ".join(str(part) for part in command)
        assert result.returncode == code, f"{shown}\n{result.stdout}\n{result.stderr}"
        return result.stdout + result.stderr

    return run_program


@pytest.fixture(scope="session")
def uv(clean_environment: dict[str, str]) -> Sequence[str]:
    """Give the command that starts uv: the one on the path, or that of `make`."""
    path = os.pathsep.join((clean_environment.get("PATH", ""), str(ROOT / ".tools/bin")))
    found = shutil.which("uv", path=path)
    if found is None:
        pytest.fail("uv is not on PATH. Run these tests with: make template")
    return [found]


@pytest.fixture(scope="session")
def wheelhouse(
    tmp_path_factory: pytest.TempPathFactory,
    run: Run,
    uv: Sequence[str],
    clean_environment: dict[str, str],
) -> Path:
    """Give a folder with a wheel of the working tree: the one that was given, or a new one."""
    given = clean_environment.get("UV_FIND_LINKS", "")
    if given and any(Path(given).glob("fastapi_baseline-*.whl")):
        return Path(given)
    folder = tmp_path_factory.mktemp("wheelhouse")
    run(*uv, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture
def render(tmp_path: Path) -> Render:
    """Give a function that renders a service below the test's folder."""
    return make_render(tmp_path)


@pytest.fixture(scope="session")
def render_for_session(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Give a function that renders a service that several tests look at."""
    return make_render(tmp_path_factory.mktemp("services"))


@pytest.fixture(scope="session")
def deployed(render_for_session: Render) -> dict[str, Path]:
    """Give services that are deployed in every way there is, by name."""
    return {
        name: render_for_session(f"deployed/{name}", service_name=name, **answers)
        for name, answers in DEPLOYED.items()
    }


def make_render(parent: Path) -> Render:
    """Return a function that renders a service below a folder."""

    def render_service(name: str = "order-service", **answers: object) -> Path:
        folder = parent / name
        with template_folder() as template:
            data = {"service_name": name, **answers}
            copier.run_copy(str(template), folder, data=data, defaults=True, quiet=True)
        return folder

    return render_service


@pytest.fixture(scope="session")
def environment(
    tmp_path_factory: pytest.TempPathFactory,
    run: Run,
    uv: Sequence[str],
    wheelhouse: Path,
    render_for_session: Render,
) -> Path:
    """Give the programs of an environment that has what the default service asks for."""
    folder = tmp_path_factory.mktemp("environment")
    programs = folder / ".venv" / "bin"
    service = render_for_session("asked-for")
    run(*uv, "venv", "--quiet", "--python", sys.executable, folder / ".venv", cwd=folder)
    run(
        *(*uv, "pip", "install", "--quiet", "--python", programs / "python"),
        *("--find-links", wheelhouse, "--refresh-package", "fastapi-baseline"),
        *("--requirements", "pyproject.toml", "--group", "dev"),
        cwd=service,
    )
    return programs


@pytest.fixture(scope="session")
def install(run: Run, uv: Sequence[str], environment: Path) -> Callable[[Path], None]:
    """Give a function that installs a service into the environment."""

    def install_service(service: Path) -> None:
        run(
            *(*uv, "pip", "install", "--quiet", "--python", environment / "python"),
            *("--no-deps", "--editable", "."),
            cwd=service,
        )

    return install_service
