"""The template as it is published: releases in a repository, and services that are updated from it."""

import os
import shutil
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import copier
import yaml
from packaging.version import Version
from plumbum import local

from fastapi_baseline import __version__
from tests.template.answers import Answers

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "releases.bundle"
ADDRESS = "https://github.com/fastapi-baseline/fastapi-baseline.git"
CURRENT = f"v{__version__}"
ANSWERS_FILE = ".copier-answers.yml"
CONFLICT = ("<<<<<<<", ">>>>>>>")


class Repository:
    """The published template, as a folder that git is told to use for its address.

    It has the releases of the bundle, and the working tree as the release of its version.
    """

    def __init__(self, parent: Path) -> None:
        self.folder = parent / "published.git"
        self.folder.mkdir(parents=True)
        self._checkouts = parent / "checkouts"
        configuration = parent / "gitconfig"
        configuration.write_text(
            f'[url "file://{self.folder}"]\n\tinsteadOf = {ADDRESS}\n'
            "[user]\n\tname = Test\n\temail = test@example.org\n"
            "[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n",
            encoding="utf-8",
        )
        self.variables = {
            "GIT_CONFIG_GLOBAL": str(configuration),
            "GIT_CONFIG_NOSYSTEM": "1",
            # copier keeps a mirror of what it has fetched.
            "COPIER_CACHE_DIR": str(parent / "cache"),
        }
        self.git("init", "--quiet")
        self.git("fetch", "--quiet", str(BUNDLE), "refs/tags/*:refs/tags/*")
        if CURRENT not in self.releases():
            shutil.copyfile(ROOT / "copier.yml", self.folder / "copier.yml")
            shutil.copytree(ROOT / "template", self.folder / "template")
            self.publish(CURRENT)
        else:
            self.git("checkout", "--quiet", "-B", "main", CURRENT)

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run git in the repository, or in a folder; return what it says."""
        variables = dict(os.environ)  # noqa: TID251 -- for a child process
        return subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.folder,
            env=variables | self.variables,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    def publish(self, tag: str) -> None:
        """Make a release of what the folder has."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", tag)
        self.git("tag", "--annotate", tag, "--message", tag)

    def releases(self) -> list[str]:
        """Return the tags, oldest first."""
        return sorted(self.git("tag", "--list").split(), key=Version)

    def checkout(self, tag: str) -> Path:
        """Return a folder with a release, which is no repository."""
        folder = self._checkouts / tag
        if not folder.is_dir():
            folder.mkdir(parents=True)
            archive = folder.with_suffix(".tar")
            self.git("archive", "--output", str(archive), tag)
            shutil.unpack_archive(archive, folder, filter="data")
        return folder

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text of a file of the template, which must have it."""
        replace(self.folder / name, old, new)

    def render(self, folder: Path, answers: Answers, *, release: str) -> Path:
        """Render a service as a release would have made it; return its folder."""
        copier.run_copy(
            str(self.checkout(release)), folder, data=answers, defaults=True, quiet=True
        )
        return folder

    def commit(self, service: Path) -> None:
        """Commit all that a service has, in a repository of its own."""
        if not (service / ".git").is_dir():
            self.git("init", "--quiet", cwd=service)
        self.git("add", "--all", cwd=service)
        self.git("commit", "--quiet", "--allow-empty", "--message", "state", cwd=service)

    def update(
        self, service: Path, *, to: str | copier.VcsRef | None = None, data: Answers | None = None
    ) -> None:
        """Update a service as `copier update --defaults` does; nothing is trusted."""
        with self._environment():
            copier.run_update(
                service, data=data, vcs_ref=to, defaults=True, overwrite=True, quiet=True
            )

    def answer(self, service: Path, data: Answers) -> None:
        """Give other answers to the release that a service has."""
        self.update(service, to=copier.VcsRef.CURRENT, data=data)

    @contextmanager
    def _environment(self) -> Generator[None]:
        # copier asks the process for one variable, and plumbum, which took its own copy of all when
        # it was imported, for those of git.
        variables = os.environ  # noqa: TID251 -- copier reads it
        before = {name: variables.get(name) for name in self.variables}
        variables.update(self.variables)
        try:
            with local.env(**self.variables):
                yield
        finally:
            restore(before)


def restore(before: Mapping[str, str | None]) -> None:
    """Give variables of this process the values that they had."""
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)  # noqa: TID251 -- as it was
        else:
            os.environ[name] = value  # noqa: TID251 -- as it was


def replace(path: Path, old: str, new: str) -> None:
    """Replace a text of a file, which must have it."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def contents(service: Path) -> dict[str, bytes]:
    """Return the files of a service, without what git, tests and tools make."""
    made = {".git", ".venv", ".pytest_cache", ".ruff_cache", "__pycache__"}
    return {
        path.relative_to(service).as_posix(): path.read_bytes()
        for path in sorted(service.rglob("*"))
        if path.is_file() and not made & set(path.relative_to(service).parts)
    }


def find_conflicts(service: Path) -> list[str]:
    """Return the files that an update has left for the user to merge."""
    return [
        name
        for name, content in contents(service).items()
        if name.endswith((".rej", ".orig"))
        or any(line.startswith(CONFLICT) for line in content.decode(errors="replace").splitlines())
    ]


def release_of(service: Path) -> str:
    """Return which release of the template a service has."""
    return yaml.safe_load((service / ANSWERS_FILE).read_text(encoding="utf-8"))["_commit"]
