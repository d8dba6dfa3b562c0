import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = (
    "Imports point down: cli and testing, scaffolding, app, features, kernel; features are siblings"
)
CYCLES = "There are no cycles between siblings, anywhere"
VOCABULARY = "The kernel's vocabulary knows no HTTP framework and no database"

# Where a line is planted, the line, and the contract that it breaks.
VIOLATIONS = {
    "the kernel imports a feature": (
        "errors.py",
        "import fastapi_baseline.middleware",
        LAYERS,
    ),
    "a low part of the kernel imports a high one": (
        "clock.py",
        "import fastapi_baseline.discovery",
        LAYERS,
    ),
    "a feature imports its sibling": (
        "health/planted.py",
        "import fastapi_baseline.persistence",
        LAYERS,
    ),
    "a feature imports the application": (
        "middleware/planted.py",
        "import fastapi_baseline.app",
        LAYERS,
    ),
    "the application imports what is for tests": (
        "app.py",
        "import fastapi_baseline.testing",
        LAYERS,
    ),
    "a module stands in no layer": (
        "planted.py",
        "",
        LAYERS,
    ),
    "the errors know HTTP": (
        "errors.py",
        "import starlette",
        VOCABULARY,
    ),
}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("lint-imports", "--no-cache"),
        capture_output=True,
        check=False,
        cwd=folder,
        # The copy must be what is read, not the library that is installed.
        env={"COLUMNS": "200", "PATH": _path(), "PYTHONPATH": str(folder / "src")},
        text=True,
    )


def _path() -> str:
    program = shutil.which("lint-imports")
    assert program is not None, "uv pip install --group imports"
    return str(Path(program).parent)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_code_as_it_stands_keeps_every_contract(copy: Path) -> None:
    result = lint_imports(copy)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(("file", "line", "contract"), VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_the_gate_fails_when(copy: Path, file: str, line: str, contract: str) -> None:
    planted = copy / "src/fastapi_baseline" / file
    with planted.open("a", encoding="utf-8") as stream:
        stream.write(f"\n{line}\n")

    result = lint_imports(copy)

    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{contract} BROKEN" in result.stdout


def test_the_gate_fails_on_a_cycle_inside_a_feature(copy: Path) -> None:
    folder = copy / "src/fastapi_baseline/middleware"
    (folder / "left.py").write_text("import fastapi_baseline.middleware.right\n", encoding="utf-8")
    (folder / "right.py").write_text("import fastapi_baseline.middleware.left\n", encoding="utf-8")

    result = lint_imports(copy)

    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{CYCLES} BROKEN" in result.stdout
