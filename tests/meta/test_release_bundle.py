import re
from pathlib import Path

import pytest

from fastapi_baseline import ConfigurationError, __version__
from fastapi_baseline.releases.bundle import shipped_bundle
from fastapi_baseline.releases.repository import (
    ReleaseRepository,
    bundle_repository,
    is_newer,
    release_repository,
)
from scripts.release_bundle import check_bundle
from tests.unit.releases.conftest import git, make_template, write

ROOT = Path(__file__).parents[2]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return make_template(tmp_path / "source")


@pytest.fixture
def bundle(tmp_path: Path, template: Path) -> Path:
    """Give a bundle with one release of a small template."""
    git(tmp_path, "init", "--quiet", "--bare", "--template=", "any.git")
    repository = ReleaseRepository(tmp_path / "any.git", cache=tmp_path)
    repository.publish("1.0.0", template)
    repository.save(tmp_path / "releases.bundle")
    return tmp_path / "releases.bundle"


def test_the_committed_bundle_has_the_first_release() -> None:
    with bundle_repository(shipped_bundle()) as repository:
        assert repository.versions[0] == "0.1.0"
        commit = git(repository.folder, "rev-parse", "v0.1.0^{commit}")

    # Services were made of it: it is what it was.
    assert commit == "a81589e4835678c3b07afaea148a5d855e665da7"


def test_the_working_tree_can_be_released() -> None:
    check_bundle(shipped_bundle(), ROOT)


def test_the_template_asks_for_the_version_that_it_is_released_with() -> None:
    questions = (ROOT / "copier.yml").read_text(encoding="utf-8")
    major, minor = (int(part) for part in __version__.split(".")[:2])

    def computed(name: str) -> str:
        found = re.search(rf'^{name}:\n  type: str\n  default: "(.+)"$', questions, re.MULTILINE)
        assert found is not None, name
        return found[1]

    assert computed("baseline_version") == __version__
    assert computed("baseline_bound") == f"{major}.{minor + 1}"


def test_a_release_that_the_bundle_has_never_changes(bundle: Path, template: Path) -> None:
    before = bundle.read_bytes()
    write(template / "template", {"plain.txt": "changed\n"})

    with pytest.raises(ConfigurationError, match=r"differs from its release 1\.0\.0"):
        check_bundle(bundle, template, version="1.0.0", is_extended=True)

    assert bundle.read_bytes() == before


@pytest.mark.parametrize("edit", [{"new.txt": "new\n"}, {"plain.txt": None}])
def test_a_file_that_is_new_or_gone_is_a_change(
    edit: dict[str, str | None], bundle: Path, template: Path
) -> None:
    write(template / "template", edit)

    with pytest.raises(ConfigurationError, match="differs from its release"):
        check_bundle(bundle, template, version="1.0.0")


def test_says_that_the_bundle_has_the_release(bundle: Path, template: Path) -> None:
    assert "has release 1.0.0, as it is" in check_bundle(bundle, template, version="1.0.0")


def test_adds_a_release_when_it_is_asked(bundle: Path, template: Path) -> None:
    before = bundle.read_bytes()
    write(template / "template", {"plain.txt": "changed\n"})

    assert "--extend-bundle adds it" in check_bundle(bundle, template, version="1.1.0")
    assert bundle.read_bytes() == before
    assert "Commit it" in check_bundle(bundle, template, version="1.1.0", is_extended=True)

    with bundle_repository(bundle) as repository:
        assert repository.versions == ("1.0.0", "1.1.0")


def test_refuses_a_version_that_was_before(bundle: Path, template: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"0\.9\.0 is older than 1\.0\.0"):
        check_bundle(bundle, template, version="0.9.0", is_extended=True)


def test_all_releases_are_there_to_update_from() -> None:
    with release_repository() as repository:
        assert len(repository.versions) > 1
        assert is_newer(repository.newest, repository.versions[0])
