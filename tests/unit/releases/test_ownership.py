import re
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment
from pathspec import GitIgnoreSpec

from fastapi_baseline import ConfigurationError
from fastapi_baseline.releases.ownership import Owner, read_ownership

ROOT = Path(__file__).parents[3]
_TAG = re.compile(r"\{%.*?%\}")
_PLACES = {
    "{{ package_name }}": "shop",
    "{{ service_name }}": "shop",
    "{{ _copier_conf.answers_file }}": ".copier-answers.yml",
}


def paths_of_the_template() -> list[str]:
    """Return every path that the template can make, whatever was answered."""
    found: list[str] = []
    for path in sorted((ROOT / "template").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            name = _TAG.sub("", path.relative_to(ROOT / "template").as_posix())
            for place, value in _PLACES.items():
                name = name.replace(place, value)
            found.append(name.removesuffix(".jinja"))
    return found


def left_alone_by_updates() -> GitIgnoreSpec:
    """Return which paths an update never touches, as copier.yml says."""
    questions = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    operation = {"_copier_operation": "update"}
    jinja = Environment(autoescape=False)  # noqa: S701 -- it makes no page
    lines = [jinja.from_string(line).render(operation) for line in questions["_exclude"]]
    return GitIgnoreSpec.from_lines("\n".join(lines).splitlines())


def test_finds_paths_of_the_template_to_look_at() -> None:
    assert {"pyproject.toml", "src/shop/main.py", "alembic/env.py", ".copier-answers.yml"} <= set(
        paths_of_the_template()
    )


@pytest.mark.parametrize("path", paths_of_the_template())
def test_each_file_of_the_template_has_one_owner(path: str) -> None:
    assert len(read_ownership().claims_of(path)) == 1


def test_what_is_the_users_is_what_updates_leave_alone() -> None:
    ownership, left_alone = read_ownership(), left_alone_by_updates()

    for path in paths_of_the_template():
        is_yours = ownership.owner_of(path) is Owner.YOURS
        assert is_yours == left_alone.match_file(path), path


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("alembic/env.py", Owner.TEMPLATE),
        ("pyproject.toml", Owner.SEAM),
        ("src/shop/settings.py", Owner.SEAM),
        ("src/shop/domains/orders/models.py", Owner.YOURS),
        ("alembic/versions/20260101_make.py", Owner.YOURS),
        ("src/shop/domains/orders/__init__.py", Owner.YOURS),
        ("src/shop/letters.py", Owner.YOURS),
        ("docs/pyproject.toml", Owner.YOURS),
    ],
)
def test_says_whose_a_file_is(path: str, owner: Owner) -> None:
    assert read_ownership().owner_of(path) is owner


@pytest.mark.parametrize(
    "content",
    ["[template", "", "[template]\nfiles = 1\n[seam]\nfiles = []\n[yours]\nfiles = []\n"],
)
def test_says_that_the_lists_cannot_be_read(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ownership.toml"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(ConfigurationError, match="install fastapi-baseline again"):
        read_ownership(path)
