from pathlib import Path

import pytest

from fastapi_baseline.cli.project import find_root, get_root
from fastapi_baseline.errors import ConfigurationError


def test_finds_the_service_from_any_folder_inside_of_it(service: Path) -> None:
    assert get_root(service) == service
    assert get_root(service / "src/echo_service") == service


def test_passes_over_projects_that_are_no_service(service: Path) -> None:
    inner = service / "tools"
    inner.mkdir()
    (inner / "pyproject.toml").write_text("[tool.ruff]\n", encoding="utf-8")

    assert find_root(inner) == service


def test_finds_none_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('tool = "none"\n', encoding="utf-8")

    assert find_root(tmp_path) is None
    with pytest.raises(ConfigurationError, match="There is no service"):
        get_root(tmp_path)


def test_says_that_a_file_cannot_be_read(service: Path) -> None:
    (service / "pyproject.toml").write_text("[tool", encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"pyproject\.toml cannot be read"):
        get_root(service)
