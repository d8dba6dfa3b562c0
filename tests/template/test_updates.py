import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml

from fastapi_baseline import __version__

ROOT = Path(__file__).parents[2]
ADDRESS = "https://github.com/fastapi-baseline/fastapi-baseline.git"
RELEASE = f"v{__version__}"
NEXT = "99.2.0"
AWKWARD = """It's "quoted" \\ {{ service_name }} {% raw %} ünïcode: # -"""

Run = Callable[..., str]
Render = Callable[..., Path]


class Repository:
    """The published template, as a folder that git is told to use for its address."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder = folder / "published.git"
        configuration = folder / "gitconfig"
        configuration.write_text(
            f'[url "file://{self.folder}"]\n\tinsteadOf = {ADDRESS}\n'
            "[user]\n\tname = Test\n\temail = test@example.org\n"
            "[init]\n\tdefaultBranch = main\n",
            encoding="utf-8",
        )
        self.variables = {
            "GIT_CONFIG_GLOBAL": str(configuration),
            "GIT_CONFIG_NOSYSTEM": "1",
            # copier keeps a mirror of what it has fetched.
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        self._run = run

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        return self._run("git", *arguments, cwd=cwd or self.folder, extra=self.variables)

    def publish(self, version: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", version)
        self.git("tag", "--annotate", version, "--message", version)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text, name
        path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Repository:
    """Give two releases: the working tree, and one after it in which every kind of file differs."""
    repository = Repository(tmp_path_factory.mktemp("repository"), run)
    repository.folder.mkdir()
    shutil.copyfile(ROOT / "copier.yml", repository.folder / "copier.yml")
    shutil.copytree(ROOT / "template", repository.folder / "template")
    repository.git("init", "--quiet")
    repository.publish(RELEASE)

    repository.edit("copier.yml", f'default: "{__version__}"', f'default: "{NEXT}"')
    repository.edit("template/Dockerfile.jinja", "EXPOSE 8000", "EXPOSE 8000/tcp")
    repository.edit("template/README.md.jinja", "## Settings", "## Its settings")
    repository.edit("template/pyproject.toml.jinja", '"ruff>=0.15"', '"ruff>=0.16"')
    package = "template/src/{{ package_name }}"
    repository.edit(f"{package}/main.py.jinja", '"""The application', '"""The whole application')
    example = f"{package}/domains/{{% if has_example %}}items{{% endif %}}"
    repository.edit(f"{example}/service.py.jinja", "What can be done", "All that can be done")
    new = repository.folder / "template/docs/added.md.jinja"
    new.parent.mkdir()
    new.write_text("# {{ service_name }}\n", encoding="utf-8")
    repository.publish(f"v{NEXT}")
    return repository


def commit(repository: Repository, service: Path) -> None:
    repository.git("init", "--quiet", cwd=service)
    repository.git("add", "--all", cwd=service)
    repository.git("commit", "--quiet", "--message", "state", cwd=service)


@pytest.fixture
def update(repository: Repository, run: Run, scripts: Path) -> Callable[..., None]:
    def update_service(service: Path, *arguments: str) -> None:
        command = (scripts / "copier", "update", "--defaults", "--quiet", *arguments)
        run(*command, cwd=service, extra=repository.variables)

    return update_service


@pytest.fixture
def scripts() -> Path:
    """Give the folder of the programs of this environment."""
    return Path(sys.executable).parent


def contents(service: Path) -> dict[str, bytes]:
    return {
        path.relative_to(service).as_posix(): path.read_bytes()
        for path in sorted(service.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(service).parts
    }


def fresh(repository: Repository, folder: Path, version: str, answers: dict[str, Any]) -> Path:
    repository.git("checkout", "--quiet", version)
    copy = folder / "fresh-template"
    shutil.copytree(repository.folder, copy, ignore=shutil.ignore_patterns(".git"))
    repository.git("checkout", "--quiet", "main")
    target = folder / "fresh"
    copier.run_copy(str(copy), target, data=answers, defaults=True, quiet=True)
    return target


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"description": AWKWARD, "owner": AWKWARD},
        {"database": "none", "deploy": [], "ci": "none", "capabilities": []},
        {"include_example": False},
    ],
    ids=["default", "awkward", "bare", "no-example"],
)
def test_makes_of_an_untouched_service_what_a_new_one_would_be(
    answers: dict[str, Any],
    repository: Repository,
    render: Render,
    update: Callable[..., None],
    tmp_path: Path,
) -> None:
    service = render("order-service", **answers)
    commit(repository, service)

    update(service)

    new = fresh(repository, tmp_path, f"v{NEXT}", {"service_name": "order-service", **answers})
    updated = contents(service)
    expected = contents(new)
    # The example is the user's from the first minute.
    mine = re.compile(r"src/[^/]+/domains/items/|tests/domains/test_items\.py")
    assert {name for name in updated if not mine.match(name)} == {
        name for name in expected if not mine.match(name)
    }
    assert not [
        name for name in expected if not mine.match(name) and updated[name] != expected[name]
    ]


def test_keeps_what_the_user_has_changed(
    repository: Repository, render: Render, update: Callable[..., None]
) -> None:
    service = render()
    edit = Editor(service)
    edit("pyproject.toml", "only what is above it.\n", 'only what is above it.\n  "stripe>=9",\n')
    edit("src/order_service/settings.py", "order_service.db", "orders.db")
    edit("src/order_service/domains/items/service.py", "What can be done", "Whatever is done")
    edit("Dockerfile", "USER 10001", "RUN mkdir /data\nUSER 10001")
    edit("README.md", "## Updates", "## Ours\n\nCall us.\n\n## Updates")
    edit("compose.yaml", "  redis:\n", "  mail:\n    image: mail\n\n  redis:\n")
    edit(".gitignore", ".env\n", ".env\n/secrets\n")
    (service / "src/order_service/domains/orders.py").write_text('"""Ours."""\n', encoding="utf-8")
    commit(repository, service)

    update(service)

    text = {name: content.decode() for name, content in contents(service).items()}
    assert not [name for name in text if name.endswith(".rej")]
    assert not [name for name in text if "<<<<<<<" in text[name]]
    assert f">={NEXT}," in text["pyproject.toml"]
    assert '"stripe>=9"' in text["pyproject.toml"]
    assert '"ruff>=0.16"' in text["pyproject.toml"]
    assert "orders.db" in text["src/order_service/settings.py"]
    assert "Whatever is done" in text["src/order_service/domains/items/service.py"]
    assert "The whole application" in text["src/order_service/main.py"]
    assert "RUN mkdir /data" in text["Dockerfile"]
    assert "EXPOSE 8000/tcp" in text["Dockerfile"]
    assert "## Ours" in text["README.md"]
    assert "## Its settings" in text["README.md"]
    assert "mail:" in text["compose.yaml"]
    assert "/secrets" in text[".gitignore"]
    assert "src/order_service/domains/orders.py" in text
    assert text["docs/added.md"] == "# order-service\n"
    assert yaml.safe_load(text[".copier-answers.yml"])["_commit"] == f"v{NEXT}"


def test_does_not_bring_a_deleted_example_back(
    repository: Repository, render: Render, update: Callable[..., None]
) -> None:
    service = render()
    shutil.rmtree(service / "src/order_service/domains/items")
    shutil.rmtree(service / "tests/domains")
    commit(repository, service)

    update(service)

    assert not [name for name in contents(service) if "items" in name]


def test_changes_an_answer_later_and_back(
    repository: Repository, render: Render, update: Callable[..., None]
) -> None:
    service = render(ci="none", deploy=[])
    commit(repository, service)
    before = contents(service)

    update(service, "--vcs-ref=:current:", "--data=ci=github", "--data=deploy=[compose]")
    commit(repository, service)
    with_both = set(contents(service))
    update(service, "--vcs-ref=:current:", "--data=ci=none", "--data=deploy=[]")

    assert with_both - set(before) == {".github/workflows/ci.yml", "compose.yaml"}
    assert contents(service) == before


@pytest.mark.parametrize("capability", ["cache", "ratelimit"])
def test_takes_a_capability_away_later_and_brings_it_back(
    capability: str, repository: Repository, render: Render, update: Callable[..., None]
) -> None:
    service = render()
    edit = Editor(service)
    edit("pyproject.toml", "only what is above it.\n", 'only what is above it.\n  "stripe>=9",\n')
    commit(repository, service)
    before = contents(service)
    other = ({"cache", "ratelimit"} - {capability}).pop()

    update(service, "--vcs-ref=:current:", f"--data=capabilities=[{other}]")
    commit(repository, service)
    without = contents(service)["pyproject.toml"].decode()
    update(service, "--vcs-ref=:current:", "--data=capabilities=[cache, ratelimit]")

    assert f"{capability}," not in without
    assert '"stripe>=9"' in without
    assert contents(service) == before


class Editor:
    """Changes files of a service as its user would."""

    def __init__(self, service: Path) -> None:
        self._service = service

    def __call__(self, name: str, old: str, new: str) -> None:
        path = self._service / name
        text = path.read_text(encoding="utf-8")
        assert old in text, name
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
