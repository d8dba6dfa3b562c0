import errno
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from fastapi_baseline.cli.new import template_folder

Call = Callable[..., int]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def answers_of(service: Path) -> dict[str, object]:
    return yaml.safe_load((service / ".copier-answers.yml").read_text(encoding="utf-8"))


def test_makes_a_service_and_says_what_is_next(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("new", "order-service") == 0

    assert (tmp_path / "order-service/src/order_service/main.py").is_file()
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith("✓ order-service is made. Next:\n  cd order-service\n  uv sync ")
    assert "baseline db upgrade" in said.out
    assert "baseline run" in said.out


def test_names_the_service_after_the_last_part_of_a_path(call: Call, tmp_path: Path) -> None:
    assert call("new", tmp_path / "deep/in/here/order-service") == 0

    service = tmp_path / "deep/in/here/order-service"
    assert answers_of(service)["service_name"] == "order-service"


def test_makes_it_in_exactly_the_folder_it_is_told(call: Call, tmp_path: Path) -> None:
    assert call("new", "order-service", "--into", "My Service") == 0

    assert answers_of(tmp_path / "My Service")["service_name"] == "order-service"


def test_takes_answers(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["database=none", "deploy=[]", "ci=none", "description=a=b {{ c }}"]

    code = call("new", "plain", *(part for answer in given for part in ("--data", answer)))

    assert code == 0
    answers = answers_of(tmp_path / "plain")
    assert (answers["database"], answers["deploy"], answers["ci"]) == ("none", [], "none")
    assert answers["description"] == "a=b {{ c }}"
    assert not (tmp_path / "plain/alembic").exists()
    assert "db upgrade" not in capsys.readouterr().out


def test_takes_the_name_as_an_answer(call: Call, tmp_path: Path) -> None:
    assert call("new", "--data", "service_name=order-service") == 0
    assert call("new", "a folder", "-d", "service_name=order-service") == 0

    assert (tmp_path / "order-service/pyproject.toml").is_file()
    assert (tmp_path / "a folder/src/order_service").is_dir()


@pytest.mark.parametrize("left", [".git", ".idea"])
def test_takes_a_folder_that_is_as_good_as_empty(left: str, call: Call, tmp_path: Path) -> None:
    (tmp_path / "order-service" / left).mkdir(parents=True)

    assert call("new", "order-service") == 0


def test_makes_it_in_the_current_folder(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "order-service"
    folder.mkdir()
    monkeypatch.chdir(folder)

    assert call("new", ".") == 0

    assert (folder / "pyproject.toml").is_file()
    assert "cd " not in capsys.readouterr().out


def test_leaves_a_folder_alone_that_is_in_use(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "order-service/notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine", encoding="utf-8")

    assert call("new", "order-service") == 1

    assert list(mine.parent.iterdir()) == [mine]
    said = capsys.readouterr().err
    assert said == f"Error: {mine.parent} is not empty (it has notes.txt): name another folder.\n"


def test_says_that_a_file_is_in_the_way(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "order-service").touch()

    assert call("new", "order-service") == 1
    assert "is a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["Bad_Name"], ["json"], ["fine", "-d", "database=mysql"], ["fine", "-d", "description= "]],
    ids=" ".join,
)
def test_says_in_one_line_which_answer_is_refused(
    arguments: list[str], call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("new", *arguments) == 1

    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert said.startswith("Error: The service was not made. ")
    assert list(tmp_path.iterdir()) == []


def test_gives_the_template_without_its_history(tmp_path: Path) -> None:
    with template_folder() as folder:
        found = {path.name for path in folder.iterdir()}

        # Else copier would take the last release of the checkout that it lies in.
        inside = subprocess.run(
            ["git", "rev-parse", "--show-toplevel"], cwd=folder, capture_output=True, check=False
        )

    assert found == {"copier.yml", "template"}
    assert inside.returncode
    assert not folder.exists()


@pytest.mark.parametrize("is_there", [False, True])
def test_leaves_nothing_behind_when_the_disk_is_full(
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    is_there: bool,
) -> None:
    if is_there:
        (tmp_path / "deep/order-service").mkdir(parents=True)
    before = list(tmp_path.rglob("*"))
    written = 0
    copy = shutil.copy2

    def fill(source: Path, target: Path, **options: bool) -> object:
        nonlocal written
        written += 1
        if written > 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return copy(source, target, **options)

    monkeypatch.setattr(shutil, "copy2", fill)

    assert call("new", "deep/order-service") == 1

    assert list(tmp_path.rglob("*")) == before
    said = capsys.readouterr().err
    assert said.startswith("Error: The service was not made. ")
    assert "No space left on device" in said
    assert said.count("\n") == 1
