"""Answers to the template's questions: every pair of them in a few services, instead of all."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache
from itertools import combinations, product
from pathlib import Path
from typing import Any, cast

import yaml

Answers = dict[str, Any]
Axes = Mapping[str, Sequence[object]]


def read_configuration(copier_yml: Path) -> dict[str, Any]:
    """Return what `copier.yml` says."""
    return deepcopy(_parse(copier_yml.read_text(encoding="utf-8")))


@cache
def _parse(text: str) -> dict[str, Any]:
    return yaml.safe_load(text)


def read_questions(copier_yml: Path) -> dict[str, dict[str, Any]]:
    """Return the questions and computed values of a template, by name."""
    content = read_configuration(copier_yml)
    return {name: value for name, value in content.items() if not name.startswith("_")}


def axes_of(copier_yml: Path) -> dict[str, list[object]]:
    """Return what can be chosen: of one answer each choice, of several answers each yes and no.

    Free text is no choice.
    """
    axes: dict[str, list[object]] = {}
    for name, question in read_questions(copier_yml).items():
        choices: dict[str, object] = question.get("choices", {})
        values: list[object] = list(choices.values())
        if question.get("type") == "bool":
            values = [True, False]
        if question.get("when") is False:
            continue
        if question.get("multiselect"):
            axes |= {f"{name}:{value}": [True, False] for value in values}
        elif values:
            axes[name] = values
    return axes


def is_allowed(row: Mapping[str, object]) -> bool:
    """Return whether the questions take these values together, and ask for each of them."""
    if row.get("database") != "none":
        return True
    return row.get("auth") != "builtin" and not row.get("include_example")


def pairwise(axes: Axes) -> list[dict[str, object]]:
    """Return few rows that have, together, every pair of values that is allowed.

    The same axes give the same rows.
    """
    names = list(axes)
    rows = [
        row
        for values in product(*axes.values())
        if is_allowed(row := dict(zip(names, values, strict=True)))
    ]
    pairs_of = [frozenset(combinations(row.items(), 2)) for row in rows]
    missing = set[object]().union(*pairs_of)
    chosen: list[dict[str, object]] = []
    while missing:
        best = max(range(len(rows)), key=lambda index: len(missing & pairs_of[index]))
        chosen.append(rows[best])
        missing -= pairs_of[best]
    return chosen


def as_answers(row: Mapping[str, object]) -> Answers:
    """Return what a row of `pairwise` is in the template's terms."""
    answers: Answers = {}
    for name, value in row.items():
        question, colon, choice = name.partition(":")
        if not colon:
            answers[question] = value
        else:
            chosen: list[str] = answers.setdefault(question, [])
            chosen += [choice] if value else []
    return answers


def name_of(answers: Answers) -> str:
    """Return a short name for answers, such as `postgres-oidc-cache+ratelimit-compose-github`."""
    parts: list[str] = []
    for value in answers.values():
        if isinstance(value, bool):
            parts.append("items" if value else "-")
        else:
            several = cast("list[str]", value) if isinstance(value, list) else [str(value)]
            parts.append("+".join(several))
    return "-".join(part or "0" for part in parts)


def sets_of(copier_yml: Path) -> dict[str, Answers]:
    """Return the answers that the proof is done with, by name: the pairs, and the extremes."""
    sets: dict[str, Answers] = {"default": {}, "minimal": minimal(copier_yml)}
    for way in ("oidc", "builtin"):
        sets[f"maximal-{way}"] = maximal(copier_yml) | {"auth": way}
    pairs = (as_answers(row) for row in pairwise(axes_of(copier_yml)))
    return sets | {name_of(answers): answers for answers in pairs}


def maximal(copier_yml: Path) -> Answers:
    """Return answers that ask for everything that can be had."""
    axes = axes_of(copier_yml)
    return as_answers({name: values[0] for name, values in axes.items()})


def minimal(copier_yml: Path) -> Answers:
    """Return answers that ask for nothing that can be left out."""
    axes = axes_of(copier_yml)
    nothing = {"auth": "none", "ci": "none", "database": "none"}
    return as_answers({name: nothing.get(name, values[-1]) for name, values in axes.items()})
