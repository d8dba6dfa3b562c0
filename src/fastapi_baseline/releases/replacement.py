"""Files of a folder that are replaced together: all of them, or none."""

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from fastapi_baseline.errors import ConfigurationError


class Replacement:
    """Writes new files beside the old ones, then changes places; leaving by an error undoes it.

    What needs room on the disk is done before the first file changes. After that, files are only
    renamed, to and fro.

        with Replacement(folder) as replacement:
            replacement.prepare("pyproject.toml", new)
            replacement.carry_out()

    Raises:
        ConfigurationError: If a file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._prepared: dict[str, Path | None] = {}
        self._done: list[tuple[Path, Path | None]] = []
        self._made: list[Path] = []

    def __enter__(self) -> Self:
        """Make the place for the new files, on the same disk."""
        try:
            self._scratch = TemporaryDirectory(prefix=".baseline-", dir=self._folder)
        except OSError as error:
            raise _failure(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Undo everything if the block failed."""
        try:
            if error is not None:
                self._undo()
        finally:
            self._scratch.cleanup()
        if isinstance(error, OSError):
            raise _failure(error) from error

    def prepare(self, path: str, source: Path) -> None:
        """Take a new file for a path, or none if there is none: then the old one is to go."""
        if not os.path.lexists(source):
            self._prepared[path] = None
            return
        kept = self._place("new", len(self._prepared))
        shutil.copy2(source, kept, follow_symlinks=False)
        self._prepared[path] = kept

    def carry_out(self) -> None:
        """Let the new files take the places of the old ones."""
        for number, (path, new) in enumerate(self._prepared.items()):
            target = self._folder / path
            old = self._place("old", number) if os.path.lexists(target) else None
            if old is not None:
                target.rename(old)
            self._done.append((target, old))
            if new is not None:
                self._make_folder(target.parent)
                new.rename(target)
        for path, new in self._prepared.items():
            if new is None:
                self._remove_empty((self._folder / path).parent)

    def _place(self, kind: str, number: int) -> Path:
        folder = Path(self._scratch.name) / kind
        folder.mkdir(exist_ok=True)
        return folder / str(number)

    def _make_folder(self, folder: Path) -> None:
        missing = [folder]
        while not missing[-1].exists():
            missing.append(missing[-1].parent)
        for path in reversed(missing[:-1]):
            path.mkdir()
            self._made.append(path)

    def _remove_empty(self, folder: Path) -> None:
        while folder != self._folder and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def _undo(self) -> None:
        for target, old in reversed(self._done):
            if os.path.lexists(target):
                target.unlink()
            if old is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                old.rename(target)
        for path in reversed(self._made):
            path.rmdir()


def _failure(error: OSError) -> ConfigurationError:
    return ConfigurationError(f"The files cannot be written, so nothing was changed: {error}")
