"""Updates of a service: tried in a copy of it, and taken over as a whole or not at all."""

import os
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.releases.answers import Answers
from fastapi_baseline.releases.copying import Task, call_copier
from fastapi_baseline.releases.forecast import Forecast, Outcome, Tree, Trees, forecast_files
from fastapi_baseline.releases.replacement import Replacement
from fastapi_baseline.releases.repository import (
    ReleaseRepository,
    environment,
    is_newer,
    run_git,
)

# What git leaves in its folder while something is half done.
_UNFINISHED = {
    "MERGE_HEAD": "a merge",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
}
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "baseline"), ("EMAIL", "baseline@localhost"))
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to change: the release that a service is at, some of its answers, or both."""

    target: str
    answers: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkTree:
    """The folder of a service in git; `edited` are the paths with changes that are in no commit."""

    root: Path
    edited: tuple[str, ...]

    def require_clean(self) -> None:
        """Pass if there is nothing that is in no commit.

        Raises:
            ConfigurationError: If there is, since it would mix with the update.
        """
        if not self.edited:
            return
        first, *others = self.edited
        more = f" and {len(others)} more" if others else ""
        raise ConfigurationError(
            f"There are changes in no commit: {first}{more}. Commit or stash them first."
        )


def open_work_tree(root: Path) -> WorkTree:
    """Return the folder of a service as git sees it.

    Raises:
        ConfigurationError: If git is missing, the folder is not in a git repository or in no commit
            of it, or something is half done in it.
    """
    try:
        inside = run_git("rev-parse", "--is-inside-work-tree", cwd=root).strip() == b"true"
    except ConfigurationError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise
        if "not a git repository" not in error.message:
            raise
        inside = False
    if not inside:
        message = f'{root} is not in git: git init && git add -A && git commit -m "As it was made"'
        raise ConfigurationError(message)
    for name, what in _UNFINISHED.items():
        path = root / run_git("rev-parse", "--git-path", name, cwd=root).decode().strip()
        if path.exists():
            raise ConfigurationError(f"There is {what} in progress: finish or abort it first.")
    if not run_git("ls-tree", "HEAD", "--", ".", cwd=root, codes=(0, 128)).strip():
        message = f'{root} is in no commit yet: git add -A && git commit -m "As it was made"'
        raise ConfigurationError(message)
    status = run_git("status", "--porcelain", "--no-renames", "-z", "--", ".", cwd=root)
    edited = tuple(entry[3:].decode(errors="replace") for entry in status.split(b"\0") if entry)
    return WorkTree(root=root, edited=edited)


class Attempt:
    """An update that was tried in a copy of a service: `forecast` says what it does to its files."""

    def __init__(self, work: WorkTree, copy: Path, forecast: Forecast) -> None:
        self.forecast = forecast
        self._work = work
        self._copy = copy

    def apply(self) -> None:
        """Do to the service what was done to its copy, to all of its files or to none.

        What is in conflict is marked in the files and in git's index, as after a merge.

        Raises:
            ConfigurationError: If there are changes in no commit, or files cannot be written: then
                everything is as it was.
        """
        # Somebody may have edited a file since.
        open_work_tree(self._work.root).require_clean()
        missed = {file.path for file in self.forecast.having(Outcome.MISSED)}
        changed = [file.path for file in self.forecast.files if file.path not in missed]
        with Replacement(self._work.root) as replacement:
            for path in changed:
                replacement.prepare(path, self._copy / path)
            replacement.carry_out()
            self._mark_conflicts()

    def _mark_conflicts(self) -> None:
        conflicts = [file.path for file in self.forecast.having(Outcome.CONFLICT)]
        if not conflicts:
            return
        root = self._work.root
        prefix = run_git("rev-parse", "--show-prefix", cwd=root).decode().strip()
        listed = run_git("ls-files", "--unmerged", "-z", "--", *conflicts, cwd=self._copy)
        lines: list[str] = []
        for entry in filter(None, listed.decode().split("\0")):
            details, _, path = entry.partition("\t")
            mode, blob, stage = details.split()
            content = run_git("cat-file", "blob", blob, cwd=self._copy)
            kept = run_git("hash-object", "-w", "--stdin", cwd=root, stdin=content).decode().strip()
            lines.append(f"{mode} {kept} {stage}\t{prefix}{path}\0")
        forgotten = [f"0 {'0' * 40}\t{prefix}{path}\0" for path in conflicts]
        index = "".join(forgotten + lines).encode()
        run_git("update-index", "-z", "--index-info", cwd=root, stdin=index)


@contextmanager
def attempt_update(
    work: WorkTree, change: Change, *, answers: Answers, repository: ReleaseRepository
) -> Generator[Attempt]:
    """Yield what an update does to a service, which it has not touched.

    What is in no commit is not looked at.

    Raises:
        ConfigurationError: If there is no such release, it is older than that of the service, or
            copier refuses.
    """
    repository.require(answers.version)
    repository.require(change.target)
    if is_newer(answers.version, change.target):
        message = (
            f"The service is at release {answers.version} of the template, which is newer than "
            f"{change.target}: there is no way back but git's."
        )
        raise ConfigurationError(message)
    with TemporaryDirectory(prefix="fastapi-baseline-") as folder:
        copy, untouched = Path(folder) / "copy", Path(folder) / "untouched"
        _check_out(work.root, copy)
        repository.render(answers.version, answers.values, untouched)
        folders = (copy, untouched)
        for path in folders:
            _commit(path)
        before, old = (_tree(path) for path in folders)
        task = Task(
            folders=[str(path) for path in folders],
            tag=f"v{change.target}",
            answers=change.answers,
        )
        call_copier(task, variables=environment(repository.variables))
        listed = run_git("ls-files", "--unmerged", "-z", cwd=copy).decode().split("\0")
        conflicts = {entry.partition("\t")[2] for entry in listed if entry}
        after, new = (_tree(path) for path in folders)
        trees = Trees(
            old=_list(untouched, old),
            new=_list(untouched, new),
            before=_list(copy, before),
            after=_list(copy, after),
            conflicts=conflicts,
            moves=_find_moves(old, before, untouched=untouched, copy=copy),
            hidden=_find_hidden(work.root, before=_list(copy, before), after=_list(copy, after)),
        )
        files = forecast_files(trees, partial(_diff, untouched, old=old, new=new))
        forecast = Forecast(source=answers.version, target=change.target, files=files)
        yield Attempt(work, copy, forecast)


def _check_out(root: Path, folder: Path) -> None:
    """Write what is in the last commit of a service to a folder, with the files' own names."""
    top = Path(run_git("rev-parse", "--show-toplevel", cwd=root).decode().strip())
    prefix = run_git("rev-parse", "--show-prefix", cwd=root).decode().strip()
    index = {"GIT_INDEX_FILE": str(folder.with_name("index"))}
    run_git("read-tree", f"HEAD:{prefix}", cwd=top, variables=index)
    folder.mkdir()
    run_git("checkout-index", "--all", f"--prefix={folder}/", cwd=top, variables=index)


def _commit(folder: Path) -> None:
    run_git("init", "--quiet", "--template=", cwd=folder)
    run_git("add", "--force", "--all", cwd=folder)
    quietly = ("-c", "commit.gpgSign=false", "-c", f"core.hooksPath={os.devnull}")
    commit = ("commit", "--quiet", "--allow-empty", "--message", "As it is")
    run_git(*quietly, *commit, cwd=folder, variables=_IDENTITY)


def _tree(folder: Path) -> str:
    """Return the id of a tree with all files of a folder, also of those that git would ignore."""
    index = {"GIT_INDEX_FILE": str(folder.with_name(f"{folder.name}.index"))}
    run_git("add", "--force", "--all", cwd=folder, variables=index)
    return run_git("write-tree", cwd=folder, variables=index).decode().strip()


def _list(folder: Path, tree: str) -> Tree:
    listed = run_git("ls-tree", "-r", "-z", tree, cwd=folder).decode(errors="surrogateescape")
    entries = (entry.partition("\t") for entry in listed.split("\0") if entry)
    return {path: details for details, _, path in entries}


def _find_moves(old: str, before: str, *, untouched: Path, copy: Path) -> dict[str, str]:
    """Return where a service has moved files to, as far as their content tells."""
    objects = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(untouched / ".git" / "objects")}
    compare = ("diff-tree", "-r", "-z", "--find-renames", "--diff-filter=R", "--name-status")
    listed = run_git(*compare, old, before, cwd=copy, variables=objects)
    parts = iter(listed.decode(errors="surrogateescape").split("\0")[:-1])
    return {source: target for _, source, target in zip(parts, parts, parts, strict=True)}


def _diff(untouched: Path, path: str, *, old: str, new: str) -> list[str]:
    """Return the lines of the diff of one file, from its first hunk on."""
    compare = ("diff", "--no-color", "--no-ext-diff", "--no-textconv", old, new, "--", path)
    lines = run_git(*compare, cwd=untouched).decode(errors="replace").splitlines()
    first = next((n for n, line in enumerate(lines) if line.startswith("@@")), len(lines))
    return lines[first:]


def _find_hidden(root: Path, *, before: Collection[str], after: Collection[str]) -> set[str]:
    """Return the paths that an update would add, where there is a file that is in no commit."""
    return {path for path in set(after) - set(before) if os.path.lexists(root / path)}
