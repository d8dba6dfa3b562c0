"""A small template with two releases, and services that were made of the first."""

from collections.abc import Callable, Generator, Mapping
from pathlib import Path

import pytest

from fastapi_baseline import __version__
from fastapi_baseline.releases.bundle import ADDRESS
from fastapi_baseline.releases.repository import ReleaseRepository, release_repository, run_git

FIRST = "0.0.1"
QUESTIONS = f"""\
_subdirectory: template
_exclude:
  - |
    {{% if _copier_operation == 'update' %}}
    /example.txt
    {{% endif %}}
service_name:
  type: str
  default: shop
  validator: "{{% if service_name == 'bad' %}}That is no name.{{% endif %}}"
capabilities:
  type: str
  multiselect: true
  choices:
    A cache: cache
    Limits: ratelimit
  default: [cache]
baseline_version:
  type: str
  default: "{FIRST}"
  when: false
"""
LINES = "".join(f"line {number}\n" for number in range(1, 21))
FILES = {
    "{{ _copier_conf.answers_file }}.jinja": (
        f"{{{{ dict(_copier_answers, _src_path='{ADDRESS}', _commit='v' ~ baseline_version)"
        " | to_nice_yaml -}}\n"
    ),
    "pyproject.toml.jinja": '[tool.baseline]\npackage = "{{ service_name }}"\n',
    "plain.txt": LINES,
    "edited.txt": LINES,
    "contested.txt": LINES,
    "moved.txt": LINES,
    "dropped.txt": LINES,
    "removed.txt": "gone\n",
    "cherished.txt": "gone\n",
    "example.txt": "old\n",
    "{% if 'cache' in capabilities %}cache.txt{% endif %}.jinja": "{{ capabilities }}\n",
}


def write(folder: Path, files: Mapping[str, str | None]) -> None:
    """Write files of a folder, and delete those without a content."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink()
        else:
            path.write_text(content, encoding="utf-8")


def git(folder: Path, *arguments: str) -> str:
    """Return what git says in a folder."""
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    return run_git(*who, *arguments, cwd=folder).decode().strip()


def commit(folder: Path) -> None:
    """Commit all files of a folder."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "state")


def make_template(folder: Path) -> Path:
    """Write the template of the first release to a folder, and return it."""
    write(folder, {"copier.yml": QUESTIONS})
    write(folder / "template", FILES)
    return folder


def change_template(folder: Path) -> None:
    """Make the template of the library's version of that of the first release."""
    write(folder, {"copier.yml": QUESTIONS.replace(FIRST, __version__)})
    changed = LINES.replace("line 3\n", "line three\n")
    write(
        folder / "template",
        {
            **dict.fromkeys(("plain.txt", "edited.txt", "contested.txt", "moved.txt"), changed),
            "dropped.txt": changed,
            "removed.txt": None,
            "cherished.txt": None,
            "example.txt": "new\n",
            "added.txt": "new\n",
            "ignored.txt": "new\n",
        },
    )


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Generator[ReleaseRepository]:
    """Give a repository with two releases of a small template."""
    folder = tmp_path_factory.mktemp("releases")
    template = make_template(folder / "source")
    git(folder, "init", "--quiet", "--bare", "--template=", "first.git")
    first = ReleaseRepository(folder / "first.git", cache=folder / "cache")
    first.publish(FIRST, template)
    bundle = folder / "releases.bundle"
    first.save(bundle)
    change_template(template)
    with release_repository(bundle=bundle, template=template) as repository:
        yield repository


@pytest.fixture(scope="session")
def rendered(
    repository: ReleaseRepository, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, str]:
    """Give the files of a service of the first release."""
    folder = tmp_path_factory.mktemp("rendered")
    repository.render(FIRST, {}, folder)
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


@pytest.fixture(scope="session")
def make_service(rendered: Mapping[str, str]) -> Callable[[Path], Path]:
    """Give a function that writes a service of the first release to a folder, in a commit."""

    def make(folder: Path) -> Path:
        write(folder, rendered)
        git(folder, "init", "--quiet")
        commit(folder)
        return folder

    return make


@pytest.fixture
def service(tmp_path: Path, make_service: Callable[[Path], Path]) -> Path:
    """Give the folder of a service of the first release, in a commit."""
    return make_service(tmp_path / "shop")
