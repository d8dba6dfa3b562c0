import errno
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from fastapi_baseline import ConfigurationError
from fastapi_baseline.releases.replacement import Replacement


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "service"
    folder.mkdir()
    (folder / "a.txt").write_text("old a", encoding="utf-8")
    (folder / "sub").mkdir()
    (folder / "sub/b.txt").write_text("old b", encoding="utf-8")
    return folder


@pytest.fixture
def new(tmp_path: Path) -> Path:
    new = tmp_path / "new.txt"
    new.write_text("new", encoding="utf-8")
    return new


def replace(folder: Path, files: Mapping[str, Path], *, then: BaseException | None = None) -> None:
    with Replacement(folder) as replacement:
        for path, source in files.items():
            replacement.prepare(path, source)
        replacement.carry_out()
        if then is not None:
            raise then


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): "" if path.is_dir() else path.read_text("utf-8")
        for path in folder.rglob("*")
    }


def test_replaces_adds_and_deletes(folder: Path, new: Path) -> None:
    with Replacement(folder) as replacement:
        replacement.prepare("a.txt", new)
        replacement.prepare("deep/in/c.txt", new)
        replacement.prepare("sub/b.txt", new.with_name("none"))
        replacement.carry_out()

    # The folder that has become empty is gone, as git would have it.
    assert contents(folder) == {
        "a.txt": "new",
        "deep": "",
        "deep/in": "",
        "deep/in/c.txt": "new",
    }


def test_replaces_a_link_by_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("a.txt")

    with Replacement(folder) as replacement:
        replacement.prepare("sub/b.txt", tmp_path / "link")
        replacement.carry_out()

    assert (folder / "sub/b.txt").readlink() == Path("a.txt")


def test_leaves_everything_as_it_was_when_it_fails_in_the_middle(folder: Path, new: Path) -> None:
    before = contents(folder)
    none = new.with_name("none")
    # The last cannot be: what was a new file a moment before is no folder.
    steps = {"a.txt": new, "deep/c.txt": new, "sub/b.txt": none, "deep/c.txt/impossible": new}

    with pytest.raises(ConfigurationError, match="nothing was changed"):
        replace(folder, steps)

    assert contents(folder) == before


def test_leaves_everything_as_it_was_when_the_disk_is_full(
    folder: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(folder)
    copied: list[Path] = []

    def fill(source: Path, target: Path, *, follow_symlinks: bool) -> None:
        if copied:
            raise OSError(errno.ENOSPC, "No space left on device")
        copied.append(source)
        shutil.copyfile(source, target, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(shutil, "copy2", fill)

    with pytest.raises(ConfigurationError, match="No space left on device"):
        replace(folder, {"a.txt": new, "sub/b.txt": new})

    assert contents(folder) == before


def test_leaves_everything_as_it_was_when_it_is_interrupted(folder: Path, new: Path) -> None:
    before = contents(folder)

    with pytest.raises(KeyboardInterrupt):
        replace(folder, {"a.txt": new}, then=KeyboardInterrupt())

    assert contents(folder) == before


def test_says_that_a_folder_cannot_be_written_to(tmp_path: Path, new: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        replace(tmp_path / "no", {"a.txt": new})
