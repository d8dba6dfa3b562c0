import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Put together here, so that this file does not contain what it looks for.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("conda", "anaconda", "org"),
    )
)
REGISTRY_SETTINGS = tuple(
    mark.join(words) for mark, words in (("-", ("index", "url")), ("_", ("INDEX", "URL")))
)
MADE = {".git", ".nox", ".tools", "node_modules", "_build", "__pycache__", "dist", "build"}


def files() -> list[Path]:
    """Return every file that git has or would take."""
    listed = subprocess.run(
        ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"),
        capture_output=True,
        check=True,
        cwd=ROOT,
        text=True,
    ).stdout
    found = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in found if path.is_file() and MADE.isdisjoint(path.parts)]


def texts() -> dict[Path, str]:
    return {
        path.relative_to(ROOT): path.read_text(encoding="utf-8", errors="ignore")
        for path in files()
    }


@pytest.mark.parametrize("word", [*REGISTRY_HOSTS, *REGISTRY_SETTINGS])
def test_no_file_names_where_packages_come_from(word: str) -> None:
    naming = [str(path) for path, text in texts().items() if word in text]

    assert naming == []


def test_no_file_names_the_folder_that_the_repository_is_in() -> None:
    # A path that short (`/src`, `/app`) is a word like any other.
    folder = str(ROOT)
    assert folder.count("/") > 1

    naming = [str(path) for path, text in texts().items() if folder + "/" in text]

    assert naming == []


def test_every_extra_that_the_code_names_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))

    named = {
        extra
        for source in sources
        for extra in re.findall(r'optional\([^)]*extra="([\w-]+)"', source)
    }

    assert named <= set(project["optional-dependencies"])


def test_the_extra_for_everything_has_every_extra_but_that_for_tests() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]

    (everything,) = extras["all"]

    assert everything == f"fastapi-baseline[{','.join(sorted(extras.keys() - {'all', 'testing'}))}]"


def test_every_rule_that_is_switched_off_has_a_reason() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    start, end = (
        lines.index("[tool.ruff.lint]"),
        lines.index("[tool.ruff.lint.flake8-tidy-imports]"),
    )

    codes = [line for line in lines[start:end] if re.match(r'^\s*"[A-Z]+\d*",', line)]

    assert len(codes) > 20
    assert [line for line in codes if not re.search(r"# \S+", line)] == []


def test_a_suppression_names_its_rule() -> None:
    bare = re.compile(r"#\s*(noqa(?!:)|type:\s*ignore(?!\[)|pyright:\s*ignore(?!\[))")

    found = [
        f"{path}:{number}"
        for path, text in texts().items()
        if path.suffix == ".py" and path.name != Path(__file__).name
        for number, line in enumerate(text.splitlines(), 1)
        if bare.search(line)
    ]

    assert found == []
