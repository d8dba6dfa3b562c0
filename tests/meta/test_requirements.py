import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = tomllib.loads(Path(__file__, "../../../pyproject.toml").resolve().read_text("utf-8"))


def requirement(library: str) -> Requirement:
    extras = PROJECT["project"]["optional-dependencies"].values()
    texts = {text for extra in extras for text in extra}
    # Extras that need the same library ask for the same of it.
    (found,) = [each for each in map(Requirement, sorted(texts)) if each.name == library]
    return found


@pytest.mark.parametrize("library", ["redis", "limits", "slowapi", "fastapi-cache2"])
def test_the_release_that_is_tested_with_is_one_that_is_asked_for(library: str) -> None:
    wanted = requirement(library)

    assert version(library) in wanted.specifier


@pytest.mark.parametrize("library", ["limits", "slowapi", "fastapi-cache2"])
def test_no_extra_is_asked_for_that_would_hold_redis_back(library: str) -> None:
    wanted = requirement(library)

    assert wanted.extras == set()


def test_what_a_library_imports_is_asked_for() -> None:
    # fastapi-cache2 imports jinja2 through Starlette's templates, and does not ask for it.
    wanted = requirement("jinja2")

    assert version("jinja2") in wanted.specifier
