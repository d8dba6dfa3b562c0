from pathlib import Path

import pytest

from fastapi_baseline import ConfigurationError
from fastapi_baseline.releases.answers import (
    Answers,
    find_capabilities,
    read_answers,
    read_questions,
    switch,
)
from fastapi_baseline.releases.bundle import ADDRESS, shipped_template

ANSWERS = f"_commit: v1.2.3\n_src_path: {ADDRESS}\nservice_name: shop\ncapabilities:\n- cache\n"


def write(folder: Path, content: str | bytes) -> Path:
    text = content.encode() if isinstance(content, str) else content
    (folder / ".copier-answers.yml").write_bytes(text)
    return folder


def test_reads_the_release_and_the_answers(tmp_path: Path) -> None:
    answers = read_answers(write(tmp_path, ANSWERS))

    assert answers.version == "1.2.3"
    assert answers.values == {"service_name": "shop", "capabilities": ["cache"]}


@pytest.mark.parametrize(
    "address", [ADDRESS.removesuffix(".git"), "gh:fastapi-baseline/fastapi-baseline"]
)
def test_takes_other_ways_to_write_the_address(address: str, tmp_path: Path) -> None:
    assert read_answers(write(tmp_path, ANSWERS.replace(ADDRESS, address))).version == "1.2.3"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            ANSWERS.replace(ADDRESS, "https://example.org/other.git"),
            "https://example.org/other.git",
        ),
        (ANSWERS.replace("v1.2.3", "a76fecb"), "_commit is 'a76fecb'"),
        (ANSWERS.replace("_commit: v1.2.3\n", ""), "_commit is None"),
        ("- a list\n", "names the template None"),
        ("a: [", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        ("", "names the template None"),
    ],
    ids=["foreign", "no-tag", "no-commit", "list", "broken", "binary", "empty"],
)
def test_refuses_answers_that_name_no_release(
    content: str | bytes, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_answers(write(tmp_path, content))


def test_says_that_a_service_was_not_made_by_the_template(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"was not made by `baseline new`"):
        read_answers(tmp_path)


def test_finds_what_a_service_can_have() -> None:
    capabilities = find_capabilities(read_questions(shipped_template()))

    found = {capability.name: capability.question for capability in capabilities}
    assert found["cache"] == "capabilities"
    assert found["compose"] == "deploy"
    assert "github" not in found


def test_takes_choices_as_a_list_or_with_more_to_say() -> None:
    questions = {
        "one": {"multiselect": True, "choices": ["a"]},
        "two": {"multiselect": True, "choices": {"The b": {"value": "b", "validator": ""}}},
        "three": {"choices": ["c"]},
    }

    found = find_capabilities(questions)

    assert [(one.name, one.description) for one in found] == [("a", "a"), ("b", "The b")]


@pytest.mark.parametrize(
    ("name", "is_on", "answer"),
    [
        ("ratelimit", True, ["cache", "ratelimit"]),
        ("cache", False, []),
        ("cache", True, None),
        ("ratelimit", False, None),
    ],
)
def test_switches_a_capability(name: str, *, is_on: bool, answer: list[str] | None) -> None:
    capabilities = find_capabilities(read_questions(shipped_template()))
    (capability,) = [one for one in capabilities if one.name == name]
    answers = Answers(version="1.0.0", values={"capabilities": ["cache"]})

    assert switch(answers, capability, is_on=is_on) == answer


def test_takes_a_question_that_was_never_asked_as_answered_with_nothing() -> None:
    capabilities = find_capabilities(read_questions(shipped_template()))

    assert switch(Answers(version="1.0.0", values={}), capabilities[0], is_on=True) == ["cache"]
