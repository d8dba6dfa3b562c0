import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fastapi_baseline import ConfigurationError
from fastapi_baseline.releases import bundle
from fastapi_baseline.releases.bundle import copy_template, shipped_bundle, shipped_template


def test_finds_the_template_and_its_releases() -> None:
    assert (shipped_template() / "template").is_dir()
    assert shipped_bundle().read_bytes().startswith(b"# v2 git bundle")


def test_copies_only_what_belongs_to_the_template(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(shipped_template() / "template", source / "template")
    for name in ("README.md", "copier.yml", "template/.DS_Store", "template/src/__pycache__/a.pyc"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).touch()

    copy_template(source, tmp_path / "copy")

    assert {path.name for path in (tmp_path / "copy").iterdir()} == {"copier.yml", "template"}
    assert not list((tmp_path / "copy").rglob("*.pyc"))
    assert not list((tmp_path / "copy").rglob(".DS_Store"))


@pytest.mark.parametrize("find", [shipped_template, shipped_bundle])
def test_says_that_an_installation_is_not_whole(
    find: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "_PACKAGE", tmp_path)
    monkeypatch.setattr(bundle, "_CHECKOUT", tmp_path)

    with pytest.raises(ConfigurationError, match="install fastapi-baseline again"):
        find()
