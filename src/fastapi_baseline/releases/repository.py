"""The template's releases as a git repository of a moment, which git takes for the published one.

The answers of a service name the address where the template is published, and copier asks git for
that address. Nothing is fetched from it: in a temporary folder stands a repository with the same
releases, made from what is installed, and git is told by its environment to go there instead.
"""

import os
import subprocess
import tarfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi_baseline import __version__
from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.releases.bundle import (
    ADDRESS,
    copy_template,
    shipped_bundle,
    shipped_template,
)

with optional("packaging", extra="cli"):
    from packaging.version import Version

# A release is the same commit, to the bit, wherever and whenever it is made.
_AUTHOR = ("The fastapi-baseline authors", "maintainers@fastapi-baseline.invalid")
_DATE = "2026-11-22T00:00:00+00:00"
# Which repository git works on is said where it is called; a hook that calls us would say another.
_ELSEWHERE = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_WORK_TREE",
    }
)


class ReleaseRepository:
    """A git repository with the template's releases: `v` and the version is the tag of each.

    `folder` is the repository, bare; `variables` belong into the environment of copier and of git,
    which then find it at `ADDRESS`. Both are gone when `release_repository` is left.
    """

    def __init__(self, folder: Path, *, cache: Path) -> None:
        self.folder = folder
        self.variables: Mapping[str, str] = {
            **_configuration(
                [
                    (f"url.{folder}.insteadOf", ADDRESS),
                    (f"url.{folder}.insteadOf", ADDRESS.removesuffix(".git")),
                ]
            ),
            # copier keeps a mirror of each address, which is not to become one of this folder.
            "COPIER_CACHE_DIR": str(cache),
        }

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions of the releases, the oldest first."""
        tags = self._git("tag", "--list", "v*").split()
        return tuple(sorted((tag.removeprefix("v") for tag in tags), key=Version))

    @property
    def newest(self) -> str:
        """The version of the newest release."""
        return self.versions[-1]

    def publish(self, version: str, source: Path) -> None:
        """Add a release after the newest: `copier.yml` and `template/` of a folder.

        Raises:
            ConfigurationError: If there is this release already.
        """
        if version in self.versions:
            raise ConfigurationError(f"There is a release {version} of the template already.")
        head = self._git("rev-parse", f"v{self.newest}^{{commit}}") if self.versions else ""
        with TemporaryDirectory(prefix="fastapi-baseline-") as work:
            copy = Path(work) / "copy"
            copy_template(source, copy)
            index = {"GIT_INDEX_FILE": str(Path(work) / "index"), "GIT_WORK_TREE": str(copy)}
            self._git("add", "--force", "--all", "--", ".", cwd=copy, variables=index)
            tree = self._git("write-tree", variables=index)
        parent = ["-p", head] if head else []
        message = f"Release {version}"
        commit = self._git("commit-tree", *parent, "-m", message, tree, variables=_signature())
        tag = ("tag", "--annotate", "--message", message, f"v{version}", commit)
        self._git(*tag, variables=_signature())

    def save(self, bundle: Path) -> None:
        """Write all releases to a file, which is the same to the bit for the same releases."""
        # Several threads would pack in another order each time.
        pack = ("-c", "pack.threads=1", "bundle", "create", "--quiet", str(bundle.absolute()))
        self._run(*pack, *(f"refs/tags/v{version}" for version in self.versions))

    def export(self, version: str, folder: Path) -> None:
        """Write `copier.yml` and `template/` of a release to a folder, which may not exist yet.

        Raises:
            ConfigurationError: If there is no such release.
        """
        self.require(version)
        folder.mkdir(parents=True, exist_ok=True)
        archive = self._run("archive", "--format=tar", f"v{version}")
        with tarfile.open(fileobj=BytesIO(archive)) as files:
            # Python before 3.11.4 has no filters; the archive is that of this library's own bundle.
            files.extraction_filter = getattr(tarfile, "data_filter", None)
            files.extractall(folder)  # noqa: S202 -- as said

    def render(self, version: str, answers: Mapping[str, Any], folder: Path) -> None:
        """Write a new service of a release to a folder; what has no answer has the default one.

        Answers to questions that the release does not ask are passed over.

        Raises:
            ConfigurationError: If there is no such release, or an answer is refused.
        """
        with optional("copier", extra="cli"):
            import copier  # noqa: PLC0415 -- of the extra, and slow to import
            from copier.errors import CopierError  # noqa: PLC0415 -- likewise
        given = {name: value for name, value in answers.items() if not name.startswith("_")}
        with TemporaryDirectory(prefix="fastapi-baseline-") as work:
            template = Path(work)
            self.export(version, template)
            try:
                copier.run_copy(
                    str(template), folder, data=given, defaults=True, overwrite=True, quiet=True
                )
            except (CopierError, OSError, TypeError, ValueError) as error:
                message = f"Release {version} of the template cannot be rendered: {error}"
                raise ConfigurationError(message) from error

    def require(self, version: str) -> None:
        """Pass if there is a release.

        Raises:
            ConfigurationError: If there is no such release; the message names those that there are.
        """
        if version in self.versions:
            return
        known = ", ".join(self.versions)
        if is_newer(version, self.newest):
            message = (
                f"Release {version} of the template is newer than the library that is installed, "
                f"{__version__}: upgrade fastapi-baseline first."
            )
            raise ConfigurationError(message)
        raise ConfigurationError(
            f"There is no release {version} of the template; there are {known}."
        )

    def _git(
        self, *arguments: str, cwd: Path | None = None, variables: Mapping[str, str] | None = None
    ) -> str:
        return self._run(*arguments, cwd=cwd, variables=variables).decode().strip()

    def _run(
        self, *arguments: str, cwd: Path | None = None, variables: Mapping[str, str] | None = None
    ) -> bytes:
        own = {"GIT_DIR": str(self.folder), **_WITHOUT_CONFIGURATION, **(variables or {})}
        return run_git(*arguments, cwd=cwd or self.folder, variables=own)


@contextmanager
def bundle_repository(bundle: Path) -> Generator[ReleaseRepository]:
    """Yield a repository with the releases of a bundle.

    Raises:
        ConfigurationError: If git is missing, or the bundle cannot be read.
    """
    with TemporaryDirectory(prefix="fastapi-baseline-") as work:
        folder = Path(work) / "releases.git"
        initialise = ("init", "--quiet", "--bare", "--template=", str(folder))
        run_git(*initialise, cwd=Path(work), variables=_WITHOUT_CONFIGURATION)
        fetch = ("fetch", "--quiet", str(bundle.absolute()), "refs/tags/*:refs/tags/*")
        try:
            run_git(*fetch, cwd=folder, variables=_WITHOUT_CONFIGURATION)
        except ConfigurationError as error:
            message = f"The template's releases in {bundle} cannot be read. {error}"
            raise ConfigurationError(message) from error
        yield ReleaseRepository(folder, cache=Path(work) / "cache")


@contextmanager
def release_repository(
    *, bundle: Path | None = None, template: Path | None = None
) -> Generator[ReleaseRepository]:
    """Yield a repository with all releases: those of the bundle, and that of this version.

    The template of this version is added under the version of the library, unless the bundle has
    that release. Both are by default what is installed.

    Raises:
        ConfigurationError: If git is missing, or the installation is not whole.
    """
    with bundle_repository(bundle or shipped_bundle()) as repository:
        if __version__ not in repository.versions:
            repository.publish(__version__, template or shipped_template())
        yield repository


def is_newer(version: str, than: str) -> bool:
    """Return whether one version comes after another; what is no version comes before all."""
    try:
        return Version(version) > Version(than)
    except ValueError:
        return False


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a program that uses git in the folder that it is called in."""
    inherited = dict(os.environ)  # noqa: TID251 -- for programs that this one starts
    kept = {name: value for name, value in inherited.items() if name not in _ELSEWHERE}
    # What git says is read.
    return {**kept, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **(variables or {})}


def run_git(
    *arguments: str,
    cwd: Path,
    variables: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    codes: Sequence[int] = (0,),
) -> bytes:
    """Return what git says, called in a folder.

    Raises:
        ConfigurationError: If git is missing, or fails: ends with none of `codes`.
    """
    try:
        result = subprocess.run(  # noqa: S603 -- a list, and no shell
            ["git", *arguments],  # noqa: S607 -- the user's own git
            cwd=cwd,
            env=environment(variables),
            input=stdin,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        message = "git is not on the path: install it, updates of the template need it."
        raise ConfigurationError(message) from error
    if result.returncode not in codes:
        said = result.stderr.decode(errors="replace").strip().splitlines() or ["it says nothing"]
        raise ConfigurationError(f"git {arguments[0]} failed: {said[-1]}")
    return result.stdout


# Neither hooks, nor signatures, nor line endings of the user's: a release is the same everywhere.
_WITHOUT_CONFIGURATION = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "0",
}


def _signature() -> dict[str, str]:
    name, address = _AUTHOR
    return {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", name), ("EMAIL", address), ("DATE", _DATE))
    }


def _configuration(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    # After what the caller has said in the same way.
    inherited = dict(os.environ)  # noqa: TID251 -- for programs that this one starts
    count = int(inherited.get("GIT_CONFIG_COUNT") or 0)
    found = {"GIT_CONFIG_COUNT": str(count + len(pairs))}
    for number, (key, value) in enumerate(pairs, start=count):
        found[f"GIT_CONFIG_KEY_{number}"] = key
        found[f"GIT_CONFIG_VALUE_{number}"] = value
    return found
