"""What a release of the template may not do to the services of the one before it.

A service is updated by comparing two releases, so what is harmless in a new service can take away,
unseen, what its user has written. Each rule here returns the breaks that it finds, in words that say
what to do instead.
"""

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, cast

import jinja2
from jinja2 import nodes
from packaging.version import Version

from tests.template.answers import read_configuration, read_questions

Rule = Callable[[Path, Path], list[str]]

_RUNS_CODE = ("_tasks", "_migrations", "_jinja_extensions", "_external_data", "_secret_questions")
# How a template is read at all; another way makes other files of the same text.
_FIXED = ("_answers_file", "_envops", "_subdirectory", "_templates_suffix")
# Those of Jinja, without `random`, and of what copier adds those whose result is always the same.
_FILTERS = (frozenset(jinja2.Environment(autoescape=True).filters) - {"random"}) | {
    *("regex_replace", "regex_search", "to_json", "to_nice_yaml"),
}
_FUNCTIONS = frozenset({"dict", "range"})
# What copier tells a template of the machine and the moment.
_OF_THE_MOMENT = frozenset({"_copier_phase", "_copier_python", "_external_data", "_folder_name"})
_OF_THE_CONFIGURATION = frozenset({"answers_file", "overwrite"})


def find_breaks(old: Path, new: Path) -> list[str]:
    """Return what a release breaks of the one before it: folders with copier.yml and template."""
    return [found for rule in RULES for found in rule(old, new)]


def find_lost_paths(old: Path, new: Path) -> list[str]:
    """Return files that were given up or renamed, and are not excluded: updates would delete them."""
    excluded = _read(new).get("_exclude", [])
    lost = sorted(set(_targets(old)) - set(_targets(new)))
    return [
        f"{path} is no longer in the template, so that an update deletes it with all that its user"
        f" has changed: keep it, or add /{path} to _exclude."
        for path in lost
        if not _is_excluded(path, excluded)
    ]


def find_lost_exclusions(old: Path, new: Path) -> list[str]:
    """Return entries of `_exclude` that were taken out: paths that were given up stay given up."""
    now = set(_read(new).get("_exclude", []))
    return [
        f"_exclude no longer has {pattern!r}: services may still have such files."
        for pattern in _read(old).get("_exclude", [])
        if pattern not in now and not _lines(pattern) <= set().union(*map(_lines, now))
    ]


def find_lost_questions(old: Path, new: Path) -> list[str]:
    """Return questions whose answers are forgotten, or no longer fit."""
    before, after = read_questions(old / "copier.yml"), read_questions(new / "copier.yml")
    defaults = " ".join(str(question.get("default", "")) for question in after.values())
    breaks: list[str] = []
    for name, question in before.items():
        if question.get("when") is False:
            continue
        now = after.get(name)
        if now is None or now.get("when") is False:
            if not re.search(rf"{{{{[^}}]*\b{name}\b", defaults):
                breaks.append(
                    f"The question {name} is gone: give the one in its place the default"
                    f" {{{{ {name} | default(...) }}}}, which reads the old answer."
                )
        elif _kind(now) != _kind(question):
            breaks.append(
                f"The question {name} takes another type of answer than services have given: ask"
                f" under another name, with a default that reads the old answer."
            )
        else:
            lost = set(_choices(question)) - set(_choices(now))
            breaks += [f"The question {name} no longer takes {value!r}." for value in sorted(lost)]
    return breaks


def find_questions_without_default(old: Path, new: Path) -> list[str]:
    """Return new questions that an update could not answer."""
    before = read_questions(old / "copier.yml")
    return [
        f"The new question {name} has no default: no update could answer it."
        for name, question in read_questions(new / "copier.yml").items()
        if name not in before and "default" not in question
    ]


def find_moved_packages(old: Path, new: Path) -> list[str]:
    """Return whether packages are named otherwise than they were."""
    name = "package_name"
    before, after = read_questions(old / "copier.yml"), read_questions(new / "copier.yml")
    if before.get(name) == after.get(name):
        return []
    return [f"{name} is computed otherwise: every package would move, and its user's code stay."]


def find_code_that_runs(old: Path, new: Path) -> list[str]:
    """Return what would have to be trusted."""
    del old
    found = [key for key in _RUNS_CODE if key in _read(new)]
    found += [
        f"secret in {name}"
        for name, question in read_questions(new / "copier.yml").items()
        if question.get("secret")
    ]
    return [f"copier.yml has {key}: no update may need to be trusted." for key in found]


def find_other_readings(old: Path, new: Path) -> list[str]:
    """Return settings of copier that decide how files are rendered, and differ."""
    before, after = _read(old), _read(new)
    return [
        f"{key} has changed: both sides of an update would be rendered by the new one."
        for key in _FIXED
        if before.get(key) != after.get(key)
    ]


def find_what_is_not_answered(old: Path, new: Path) -> list[str]:
    """Return what a render depends on besides the answers: chance, the time, or the machine."""
    del old
    return [
        f"{name} renders {thing}: an update would find a difference that nobody made."
        for name, text in _texts(new)
        for thing in sorted(_find_uncertain(text))
    ]


def find_changes_of_a_patch(old: Path, new: Path) -> list[str]:
    """Return what differs if the library's patch version alone has: then nothing may."""
    before, after = _version(old), _version(new)
    if before.release[:2] != after.release[:2] or before == after:
        return []
    ours, theirs = _files(old), _files(new)
    changed = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
    first, second = _read(old), _read(new)
    for content in (first, second):
        content.pop("baseline_version", None)
    changed += ["copier.yml"] if first != second else []
    return [
        f"{name} differs between {before} and {after}: the template changes in minor releases only."
        for name in changed
    ]


RULES: tuple[Rule, ...] = (
    find_lost_paths,
    find_lost_exclusions,
    find_lost_questions,
    find_questions_without_default,
    find_moved_packages,
    find_code_that_runs,
    find_other_readings,
    find_what_is_not_answered,
    find_changes_of_a_patch,
)


def _read(release: Path) -> dict[str, Any]:
    return read_configuration(release / "copier.yml")


def _version(release: Path) -> Version:
    return Version(read_questions(release / "copier.yml")["baseline_version"]["default"])


def _files(release: Path) -> dict[str, bytes]:
    folder = release / "template"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _targets(release: Path) -> list[str]:
    """Return where files of a template land, whatever the answers: `src/*/main.py`."""
    suffix = re.compile(r"\.jinja$")
    bare = [re.sub(r"\{%.*?%\}", "", suffix.sub("", name)) for name in _files(release)]
    return [re.sub(r"\{\{.*?\}\}", "*", name) for name in bare]


def _is_excluded(path: str, patterns: list[str]) -> bool:
    """Return whether a pattern that always holds, and not only sometimes, names a path."""
    for pattern in patterns:
        anchored = pattern.startswith("/")
        bare = pattern.strip("/")
        candidates = [path, *(str(parent) for parent in Path(path).parents)]
        if not anchored:
            candidates += [Path(path).name]
        if "{" not in pattern and any(fnmatch(candidate, bare) for candidate in candidates):
            return True
    return False


def _lines(pattern: str) -> set[str]:
    return {line.strip() for line in pattern.splitlines()}


def _kind(question: dict[str, Any]) -> tuple[object, bool]:
    return question.get("type", "yaml"), bool(question.get("multiselect"))


def _choices(question: dict[str, Any]) -> list[str]:
    choices: dict[str, str] = question.get("choices", {})
    return list(choices.values())


def _texts(release: Path) -> Iterator[tuple[str, str]]:
    """Yield what is rendered: files, their paths, and what copier.yml has."""
    for name, content in _files(release).items():
        yield f"The path template/{name}", name
        if name.endswith(".jinja"):
            yield f"template/{name}", content.decode()
    for key, value in _read(release).items():
        yield f"copier.yml: {key}", "\n".join(_strings(value))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in cast("dict[str, object]", value).values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _strings(item)


def _find_uncertain(text: str) -> set[str]:
    tree = jinja2.Environment(autoescape=True).parse(text)
    found = {
        f"the filter {node.name}"
        for node in tree.find_all(nodes.Filter)
        if node.name not in _FILTERS
    }
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name not in _FUNCTIONS:
            found.add(f"the function {call.node.name}")
    for name in tree.find_all(nodes.Name):
        if name.name in _OF_THE_MOMENT:
            found.add(name.name)
    return found | {
        f"_copier_conf.{attribute.attr}"
        for attribute in tree.find_all(nodes.Getattr)
        if isinstance(attribute.node, nodes.Name)
        and attribute.node.name == "_copier_conf"
        and attribute.attr not in _OF_THE_CONFIGURATION
    }
