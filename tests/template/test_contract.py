"""What the working tree may not do to services of the last release, and that each rule bites."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.template.contract import (
    RULES,
    Rule,
    find_breaks,
    find_changes_of_a_patch,
    find_code_that_runs,
    find_lost_exclusions,
    find_lost_paths,
    find_lost_questions,
    find_moved_packages,
    find_other_readings,
    find_questions_without_default,
    find_what_is_not_answered,
)
from tests.template.later import publish_what_comes_later
from tests.template.publishing import CURRENT, ROOT, Repository, replace

PACKAGE = "template/src/{{ package_name }}"

Break = Callable[[Path], object]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("repository"))


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Give a copy of the working tree's template, to be broken."""
    folder = tmp_path / "new"
    shutil.copytree(ROOT / "template", folder / "template")
    shutil.copyfile(ROOT / "copier.yml", folder / "copier.yml")
    return folder


def test_keeps_every_promise_to_services_of_every_release(repository: Repository) -> None:
    releases = repository.releases()

    breaks = {
        (old, new): find_breaks(repository.checkout(old), repository.checkout(new))
        for index, old in enumerate(releases)
        for new in releases[index:]
    }

    assert {pair: found for pair, found in breaks.items() if found} == {}


def test_lets_the_changes_through_that_are_to_come(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    publish_what_comes_later(repository)
    last = repository.releases()[-1]

    assert find_breaks(repository.checkout(CURRENT), repository.checkout(last)) == []


def rename(folder: Path) -> None:
    (folder / "template/README.md.jinja").rename(folder / "template/LIESMICH.md.jinja")


def delete(folder: Path) -> None:
    (folder / f"{PACKAGE}/main.py.jinja").unlink()


def edit(name: str, old: str, new: str) -> Break:
    return lambda folder: replace(folder / name, old, new)


def append(name: str, text: str) -> Break:
    def add(folder: Path) -> None:
        path = folder / name
        path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")

    return add


def make_patch(folder: Path) -> None:
    text = (folder / "copier.yml").read_text(encoding="utf-8")
    version = CURRENT.removeprefix("v")
    assert f'default: "{version}"' in text
    text = text.replace(f'default: "{version}"', f'default: "{version}.1"', 1)
    (folder / "copier.yml").write_text(text, encoding="utf-8")
    append("template/README.md.jinja", "More.\n")(folder)


BREAKS: dict[str, tuple[Break, Rule, str]] = {
    "a renamed file": (rename, find_lost_paths, "README.md is no longer in the template"),
    "a deleted file": (delete, find_lost_paths, "src/*/main.py is no longer in the template"),
    "an exclusion taken back": (
        edit("copier.yml", "  - .DS_Store\n", ""),
        find_lost_exclusions,
        "_exclude no longer has '.DS_Store'",
    ),
    "example code that updates would touch": (
        edit("copier.yml", "    /tests/domains/test_items.py\n", ""),
        find_lost_exclusions,
        "_exclude no longer has",
    ),
    "a question removed": (
        edit("copier.yml", "description:\n  type: str", "summary:\n  type: str"),
        find_lost_questions,
        "The question description is gone",
    ),
    "a question no longer asked": (
        edit("copier.yml", "owner:\n  type: str\n", "owner:\n  type: str\n  when: false\n"),
        find_lost_questions,
        "The question owner is gone",
    ),
    "a question of another type": (
        edit("copier.yml", "include_example:\n  type: bool", "include_example:\n  type: str"),
        find_lost_questions,
        "include_example takes another type",
    ),
    "one answer instead of several": (
        edit(
            "copier.yml",
            "help: How is it deployed?\n  multiselect: true\n",
            "help: How is it deployed?\n",
        ),
        find_lost_questions,
        "deploy takes another type",
    ),
    "a choice removed": (
        edit("copier.yml", "    Anybody: none\n", ""),
        find_lost_questions,
        "auth no longer takes 'none'",
    ),
    "a new question without a default": (
        append("copier.yml", "\nregion:\n  type: str\n  help: Where?\n"),
        find_questions_without_default,
        "The new question region has no default",
    ),
    "packages named otherwise": (
        edit("copier.yml", "service_name | replace('-', '_') }}", "service_name | lower }}"),
        find_moved_packages,
        "package_name is computed otherwise",
    ),
    "tasks": (
        append("copier.yml", '\n_tasks: ["uv sync"]\n'),
        find_code_that_runs,
        "copier.yml has _tasks",
    ),
    "migrations": (
        append("copier.yml", "\n_migrations: []\n"),
        find_code_that_runs,
        "copier.yml has _migrations",
    ),
    "extensions": (
        append("copier.yml", '\n_jinja_extensions: ["jinja2.ext.do"]\n'),
        find_code_that_runs,
        "copier.yml has _jinja_extensions",
    ),
    "a secret question": (
        append("copier.yml", '\nkey:\n  type: str\n  default: ""\n  secret: true\n'),
        find_code_that_runs,
        "copier.yml has secret in key",
    ),
    "another suffix": (
        edit("copier.yml", "_templates_suffix: .jinja", "_templates_suffix: .tmpl"),
        find_other_readings,
        "_templates_suffix has changed",
    ),
    "a random default": (
        append("copier.yml", '\nkey:\n  type: str\n  default: "{{ 9999 | ans_random }}"\n'),
        find_what_is_not_answered,
        "copier.yml: key renders the filter ans_random",
    ),
    "a random default by Jinja alone": (
        append("copier.yml", '\nkey:\n  type: str\n  default: "{{ [1, 2] | random }}"\n'),
        find_what_is_not_answered,
        "copier.yml: key renders the filter random",
    ),
    "the time in a file": (
        append("template/README.md.jinja", "{{ '%Y' | strftime }}\n"),
        find_what_is_not_answered,
        "template/README.md.jinja renders the filter strftime",
    ),
    "the machine in a file": (
        append("template/README.md.jinja", "{{ _copier_conf.os }}\n"),
        find_what_is_not_answered,
        "template/README.md.jinja renders _copier_conf.os",
    ),
    "a change in a patch release": (
        make_patch,
        find_changes_of_a_patch,
        "README.md.jinja differs between",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_refuses(name: str, new: Path, tmp_path: Path) -> None:
    make, rule, expected = BREAKS[name]
    old = tmp_path / "old"
    shutil.copytree(new, old)

    make(new)

    assert [found for found in rule(old, new) if expected in found]


def test_has_a_break_for_every_rule() -> None:
    assert {rule for _, rule, _ in BREAKS.values()} == set(RULES)


def test_lets_a_file_go_whose_path_is_excluded(new: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(new, old)
    (new / "template/README.md.jinja").unlink()

    replace(new / "copier.yml", "  - .DS_Store\n", "  - .DS_Store\n  - /README.md\n")

    assert find_breaks(old, new) == []


def test_lets_a_question_go_whose_answer_is_read(new: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(new, old)

    edit("copier.yml", "description:\n  type: str", "summary:\n  type: str")(new)
    edit(
        "copier.yml",
        'default: "The {{ service_name }}"',
        "default: \"{{ description | default('The ' ~ service_name) }}\"",
    )(new)

    assert find_breaks(old, new) == []
