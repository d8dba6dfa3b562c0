"""What a service has answered to the questions of the template, and what it could answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.releases.bundle import ADDRESS

with optional("yaml", extra="cli"):
    import yaml

ANSWERS_FILE = ".copier-answers.yml"
"""Where a service keeps its answers. copier can be told another file, and forgets it."""
# How the address of the template can be written, as copier takes it.
_NAME = ADDRESS.removeprefix("https://github.com/").removesuffix(".git")
_ADDRESSES = frozenset(
    f"{prefix}{_NAME}{suffix}"
    for prefix in ("https://github.com/", "gh:")
    for suffix in ("", ".git")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The release of the template that a service is at, and its answers to the questions."""

    version: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """One of several things that a service can have, and the question that it is an answer to."""

    name: str
    question: str
    description: str


def read_answers(root: Path) -> Answers:
    """Return the answers of the service in a folder.

    Raises:
        ConfigurationError: If it was not made by the template, or its answers cannot be read.
    """
    path = root / ANSWERS_FILE
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"{root} has no {ANSWERS_FILE}: it was not made by `baseline new`."
        raise ConfigurationError(message) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    values = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    address = values.get("_src_path")
    if address not in _ADDRESSES:
        message = (
            f"{ANSWERS_FILE} names the template {address!r}, which is not that of this library, "
            f"{ADDRESS}: `copier update` may know it."
        )
        raise ConfigurationError(message)
    release = values.get("_commit")
    if not isinstance(release, str) or not release.startswith("v"):
        message = f"{ANSWERS_FILE} names no release of the template: _commit is {release!r}."
        raise ConfigurationError(message)
    given = {name: value for name, value in values.items() if not name.startswith("_")}
    return Answers(version=release.removeprefix("v"), values=given)


def read_questions(template: Path) -> dict[str, dict[str, Any]]:
    """Return the questions that a template asks: the content of its `copier.yml`, by their names.

    What it computes is no question.
    """
    content: dict[str, Any] = yaml.safe_load((template / "copier.yml").read_text(encoding="utf-8"))
    return {
        name: details
        for name, details in content.items()
        if not name.startswith("_") and details.get("when") is not False
    }


def find_capabilities(questions: Mapping[str, Mapping[str, Any]]) -> tuple[Capability, ...]:
    """Return what a service can have or not: the choices of questions that take several."""
    return tuple(
        Capability(name=str(name), question=question, description=str(description))
        for question, details in questions.items()
        if details.get("multiselect")
        for description, name in _choices(details["choices"])
    )


def switch(answers: Answers, capability: Capability, *, is_on: bool) -> list[str] | None:
    """Return the new answer to the question of a capability, or None if it is answered like that.

    The order is that of the answer before: nothing else changes in the files of the service.
    """
    before = [str(name) for name in answers.values.get(capability.question) or ()]
    if (capability.name in before) is is_on:
        return None
    if is_on:
        return [*before, capability.name]
    return [name for name in before if name != capability.name]


def _choices(choices: Mapping[str, Any] | Sequence[Any]) -> list[tuple[Any, Any]]:
    if isinstance(choices, Mapping):
        # A choice may have more to say than its value.
        return [
            (description, value["value"] if isinstance(value, dict) else value)
            for description, value in choices.items()
        ]
    return [(choice, choice) for choice in choices]
