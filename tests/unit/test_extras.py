import importlib
import sys
from pathlib import Path

import pytest

from fastapi_baseline._extras import optional, require
from fastapi_baseline.errors import MissingExtraError


def test_names_the_extra_of_a_missing_library() -> None:
    with (
        pytest.raises(MissingExtraError, match=r"pip install 'fastapi-baseline\[redis\]'"),
        optional("no_such_library", extra="redis"),
    ):
        importlib.import_module("no_such_library.asyncio")


def test_passes_what_is_installed() -> None:
    with optional("json", extra="redis"):
        json = importlib.import_module("json")

    assert json.loads("1") == 1


def test_does_not_hide_an_import_that_is_broken_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_library.py").write_text("import something_it_forgot_to_require\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    with (
        pytest.raises(ModuleNotFoundError, match="something_it_forgot") as caught,
        optional("broken_library", extra="redis"),
    ):
        importlib.import_module("broken_library")

    assert not isinstance(caught.value, MissingExtraError)


def test_names_the_extra_of_what_will_be_needed_later() -> None:
    require("json", extra="auth")

    with pytest.raises(MissingExtraError, match=r"'no_such_library'.*fastapi-baseline\[auth\]"):
        require("json", "no_such_library", extra="auth")


def test_is_an_import_error_for_those_who_look_for_one() -> None:
    assert issubclass(MissingExtraError, ImportError)
