from pathlib import Path
from typing import Any

import pytest

from fastapi_baseline import ConfigurationError, __version__
from fastapi_baseline.releases.bundle import ADDRESS
from fastapi_baseline.releases.repository import (
    ReleaseRepository,
    environment,
    is_newer,
    release_repository,
    run_git,
)
from tests.unit.releases.conftest import FIRST, change_template, git, make_template, write


def test_has_the_releases_of_the_bundle_and_that_of_this_version() -> None:
    with release_repository() as repository:
        assert repository.versions[0] == "0.1.0"
        assert repository.newest == __version__


def test_is_gone_when_it_is_left() -> None:
    with release_repository() as repository:
        folder = repository.folder

    assert not folder.exists()


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS.removesuffix(".git")])
def test_git_takes_it_for_the_published_one(address: str, repository: ReleaseRepository) -> None:
    listed = run_git(
        "ls-remote", "--tags", "--refs", address, cwd=Path("/"), variables=repository.variables
    )

    tags = [line.split("/")[-1] for line in listed.decode().splitlines()]
    assert tags == [f"v{FIRST}", f"v{__version__}"]


def test_leaves_what_the_caller_tells_git_in_force(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "Somebody")

    repository = ReleaseRepository(tmp_path / "any.git", cache=tmp_path)

    variables = repository.variables
    assert run_git("config", "user.name", cwd=tmp_path, variables=variables) == b"Somebody\n"
    key = f"url.{repository.folder}.insteadOf"
    assert (
        ADDRESS in run_git("config", "--get-all", key, cwd=tmp_path, variables=variables).decode()
    )


def test_works_on_the_folder_that_it_is_told_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")

    assert not {"GIT_DIR", "GIT_INDEX_FILE"} & environment().keys()


def test_tags_are_annotated_and_one_release_follows_the_other(
    repository: ReleaseRepository,
) -> None:
    folder = repository.folder

    assert git(folder, "cat-file", "-t", f"v{__version__}") == "tag"
    parent = git(folder, "rev-parse", f"v{__version__}^{{commit}}^")
    assert parent == git(folder, "rev-parse", f"v{FIRST}^{{commit}}")
    files = git(folder, "ls-tree", "--name-only", f"v{__version__}").splitlines()
    assert files == ["copier.yml", "template"]


def test_a_release_is_the_same_to_the_bit_wherever_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[bytes] = []
    for name in ("one", "two"):
        folder = tmp_path / name
        template = make_template(folder / "source")
        (template / "template/plain.txt").chmod(0o755 if name == "two" else 0o644)
        monkeypatch.setenv("GIT_AUTHOR_NAME", name)
        git(folder, "init", "--quiet", "--bare", "--template=", "any.git")
        repository = ReleaseRepository(folder / "any.git", cache=folder)
        repository.publish(FIRST, template)
        change_template(template)
        repository.publish("0.0.2", template)
        repository.save(folder / "any.bundle")
        saved.append((folder / "any.bundle").read_bytes())

    assert saved[0] == saved[1]


def test_refuses_to_publish_a_release_twice(repository: ReleaseRepository, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"a release {FIRST} of the template already"):
        repository.publish(FIRST, tmp_path)


def test_does_not_replace_a_release_of_the_bundle(
    repository: ReleaseRepository, tmp_path: Path
) -> None:
    bundle = tmp_path / "releases.bundle"
    repository.save(bundle)

    with release_repository(bundle=bundle, template=tmp_path / "none") as again:
        assert again.versions == repository.versions


def test_gives_the_template_of_a_release(repository: ReleaseRepository, tmp_path: Path) -> None:
    repository.export(FIRST, tmp_path / "first")

    assert (tmp_path / "first/template/removed.txt").is_file()
    assert not (tmp_path / "first/template/added.txt").exists()


def test_renders_a_service_of_a_release(repository: ReleaseRepository, tmp_path: Path) -> None:
    answers: dict[str, Any] = {"service_name": "orders", "capabilities": [], "forgotten": 1}

    repository.render(FIRST, answers, tmp_path / "service")

    assert (tmp_path / "service/removed.txt").is_file()
    assert not (tmp_path / "service/cache.txt").exists()
    assert "service_name: orders" in (tmp_path / "service/.copier-answers.yml").read_text("utf-8")


def test_says_which_answer_cannot_be_rendered(
    repository: ReleaseRepository, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"That is no name\."):
        repository.render(FIRST, {"service_name": "bad"}, tmp_path / "service")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("9.0.0", "is newer than the library that is installed"),
        ("0.0.0", f"no release 0.0.0 of the template; there are {FIRST}, {__version__}"),
        ("nonsense", "no release nonsense"),
        ("", "no release"),
    ],
)
def test_says_that_there_is_no_such_release(
    version: str, said: str, repository: ReleaseRepository, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        repository.export(version, tmp_path)


def test_says_that_a_bundle_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path, {"broken.bundle": "nonsense"})

    with (
        pytest.raises(ConfigurationError, match="cannot be read"),
        release_repository(bundle=tmp_path / "broken.bundle"),
    ):
        pass


def test_says_that_there_is_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigurationError, match="git is not on the path"), release_repository():
        pass


@pytest.mark.parametrize(
    ("version", "than", "expected"),
    [("0.10.0", "0.9.0", True), ("0.1.0", "0.1.0", False), ("x", "0.1.0", False)],
)
def test_compares_versions(version: str, than: str, *, expected: bool) -> None:
    assert is_newer(version, than) is expected
