"""Which updates are tried: from each release to each later one, with each set of answers."""

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.template.answers import Answers, sets_of
from tests.template.later import publish_what_comes_later
from tests.template.publishing import Repository


@dataclass(frozen=True, slots=True)
class Case:
    """One update of a service with certain answers."""

    release: str
    target: str
    name: str
    answers: Answers

    def __str__(self) -> str:
        return f"{self.release}-{self.target}-{self.name}"


@cache
def cases() -> tuple[Case, ...]:
    """Return every update that is tried."""
    with TemporaryDirectory() as folder:
        repository = Repository(Path(folder))
        publish_what_comes_later(repository)
        releases = repository.releases()
        sets = {
            release: sets_of(repository.checkout(release) / "copier.yml") for release in releases
        }
    return tuple(
        Case(release, target, name, {"service_name": "order-service", **answers})
        for release, target in combinations(releases, 2)
        for name, answers in sets[release].items()
    )


def cases_to_the_last() -> tuple[Case, ...]:
    """Return the updates that go as far as there is to go."""
    last = cases()[-1].target
    return tuple(case for case in cases() if case.target == last)
