import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs/tutorials/first-service.md"
NOT_IN_A_CLONE = (".git", ".nox", ".tools", ".venv", "__pycache__", "_build", "node_modules")


def commands(name: str) -> list[str]:
    """Return what the reader types, in the block of the tutorial that has this name."""
    text = TUTORIAL.read_text(encoding="utf-8")
    (block,) = re.findall(
        rf"^```{{code-block}} console\n:name: {name}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE
    )
    return [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]


def environment(home: Path) -> dict[str, str]:
    """Return that of somebody with a home of their own, but for what has been downloaded."""
    cache = subprocess.run(
        ("uv", "cache", "dir"), capture_output=True, check=True, text=True
    ).stdout
    foreign = {
        *("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START", "UV_FIND_LINKS"),
        *("UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "VIRTUAL_ENV"),
    }
    own = {name: value for name, value in os.environ.items() if name not in foreign}  # noqa: TID251 - for a child process
    return own | {"HOME": str(home), "UV_CACHE_DIR": cache.strip()}


def test_a_reader_who_types_what_it_says_gets_a_service_that_works(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*NOT_IN_A_CLONE))
    typed = [line for name in ("make", "migrate", "test") for line in commands(name)]

    result = subprocess.run(
        ("bash", "-e"),
        capture_output=True,
        check=False,
        cwd=clone,
        env=environment(tmp_path),
        input="\n".join(typed),
        text=True,
    )

    assert len(typed) > 8
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"\d+ passed", result.stdout)
    assert len(list((tmp_path / "order-service/alembic/versions").glob("*.py"))) == 1
