import sys
from pathlib import Path
from types import ModuleType

import pytest

from fastapi_baseline._docstrings import attribute_docstrings


class Lamp:
    """Not this one."""

    colour: str = "blue"
    """What it looks like,
    by day."""
    watts: int
    weight = 3
    """Only annotated attributes are fields."""
    height: int = 1
    f"{1}"


def test_returns_the_texts_below_annotated_attributes() -> None:
    assert attribute_docstrings(Lamp) == {"colour": "What it looks like,\nby day."}


def test_reads_a_class_in_a_function() -> None:
    class Shade:
        size: int
        """In millimetres."""

    assert attribute_docstrings(Shade) == {"size": "In millimetres."}


def test_returns_only_what_the_class_itself_defines() -> None:
    class DeskLamp(Lamp):
        reach: int
        """How far it reaches."""

    assert attribute_docstrings(DeskLamp) == {"reach": "How far it reaches."}


def test_returns_nothing_where_there_is_no_source() -> None:
    made = type("Made", (), {"__annotations__": {"size": int}})

    assert attribute_docstrings(made) == {}
    assert attribute_docstrings(int) == {}


def test_returns_nothing_where_the_source_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "changed_meanwhile.py").write_text("class {", encoding="utf-8")
    module = ModuleType("changed_meanwhile")
    module.__file__ = str(tmp_path / "changed_meanwhile.py")
    monkeypatch.setitem(sys.modules, "changed_meanwhile", module)
    made = type("Made", (), {"__module__": "changed_meanwhile"})

    assert attribute_docstrings(made) == {}
