import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path, PurePosixPath

import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.extensions import (
    GROUP,
    InstalledGenerator,
    carry_out,
    find_generators,
    plan_generation,
)
from fastapi_baseline.scaffolding.service import Service

CONSUMER = PurePosixPath("src/shop/consumers/orders.py")
INIT = PurePosixPath("src/shop/consumers/__init__.py")


class Consumer:
    """Makes a module that is called like its first argument."""

    help = "A consumer of a queue."

    def plan(self, arguments: Sequence[str], service: Service) -> Mapping[PurePosixPath, str]:
        (name,) = arguments
        if name == "reserved":
            raise ConfigurationError("That name is taken.")
        folder = PurePosixPath("src") / service.package / "consumers"
        return {folder / f"{name}.py": f'"""{name}"""\n', folder / "__init__.py": ""}


class Straying:
    """Names files that it is called with, wherever they are."""

    help = "Anything."

    def plan(self, arguments: Sequence[str], service: Service) -> Mapping[PurePosixPath, str]:
        del service
        return {PurePosixPath(argument): "" for argument in arguments}


INSTANCE = Consumer()
NO_GENERATOR = "text"


def installed(name: str) -> InstalledGenerator:
    entry_point = EntryPoint(name="consumer", value=f"{__name__}:{name}", group=GROUP)
    return InstalledGenerator(name="consumer", origin="acme 1.2", entry_point=entry_point)


def install(folder: Path, name: str, points: str) -> None:
    information = folder / f"{name}-1.2.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (information / "entry_points.txt").write_text(f"[{GROUP}]\n{points}\n")


def test_finds_generators_without_importing_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "acme", "consumer = acme_that_is_not_there:Consumer")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    found = find_generators()

    assert {name: generator.origin for name, generator in found.items()} == {"consumer": "acme 1.2"}


def test_refuses_two_of_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "acme", "consumer = acme:Consumer")
    install(tmp_path, "other", "consumer = other:Consumer")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    with pytest.raises(ConfigurationError, match=r"Both .* 1.2 and .* 1.2 bring a generator"):
        find_generators()


@pytest.mark.parametrize("name", ["Consumer", "INSTANCE"])
def test_loads_a_class_or_an_object(name: str) -> None:
    assert installed(name).load().help == "A consumer of a queue."


@pytest.mark.parametrize(
    ("name", "reason"),
    [("Nothing", "cannot be loaded. AttributeError"), ("NO_GENERATOR", "is no generator")],
)
def test_says_whose_generator_is_none(name: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"acme 1.2 .*{reason}"):
        installed(name).load()


def test_writes_what_a_generator_says(service: Service) -> None:
    generation = plan_generation(installed("Consumer"), ["orders"], service)

    assert not (service.root / CONSUMER).exists()
    assert carry_out(generation) == [INIT, CONSUMER]
    assert (service.root / CONSUMER).read_text() == '"""orders"""\n'


def test_has_nothing_to_do_a_second_time(service: Service) -> None:
    carry_out(plan_generation(installed("Consumer"), ["orders"], service))

    assert plan_generation(installed("Consumer"), ["orders"], service).missing == []


def test_writes_only_what_is_missing(service: Service) -> None:
    carry_out(plan_generation(installed("Consumer"), ["orders"], service))

    generation = plan_generation(installed("Consumer"), ["returns"], service)

    assert generation.missing == [CONSUMER.with_name("returns.py")]


def test_keeps_a_file_with_something_else_in_it(service: Service) -> None:
    carry_out(plan_generation(installed("Consumer"), ["orders"], service))
    (service.root / CONSUMER).write_text("mine = 1\n")

    with pytest.raises(ConfigurationError, match=r"orders\.py is there already"):
        plan_generation(installed("Consumer"), ["orders"], service)

    assert (service.root / CONSUMER).read_text() == "mine = 1\n"


def test_writes_nothing_if_one_file_cannot_be_written(service: Service) -> None:
    generation = plan_generation(installed("Consumer"), ["orders"], service)
    # Meanwhile, somebody makes a file where the second one belongs.
    (service.root / CONSUMER).parent.mkdir()
    (service.root / CONSUMER).write_text("mine = 1\n")

    with pytest.raises(ConfigurationError, match="Nothing was written"):
        carry_out(generation)

    assert not (service.root / INIT).exists()
    assert (service.root / CONSUMER).read_text() == "mine = 1\n"


def test_passes_on_why_a_generator_refuses(service: Service) -> None:
    with pytest.raises(ConfigurationError, match=r"^That name is taken\.$"):
        plan_generation(installed("Consumer"), ["reserved"], service)


def test_says_whose_generator_has_failed(service: Service) -> None:
    with pytest.raises(ConfigurationError, match=r"'consumer' of acme 1.2 failed. ValueError"):
        plan_generation(installed("Consumer"), [], service)


@pytest.mark.parametrize("path", ["/etc/motd", "../other.py", ".git/config", "."])
def test_refuses_a_file_outside_of_the_service(service: Service, path: str) -> None:
    with pytest.raises(ConfigurationError, match="no file of the service"):
        plan_generation(installed("Straying"), [path], service)


@pytest.mark.usefixtures("formatted")
def test_compares_what_is_formatted(service: Service) -> None:
    class Rough(Consumer):
        def plan(self, arguments: Sequence[str], service: Service) -> Mapping[PurePosixPath, str]:
            return dict.fromkeys(super().plan(arguments, service), "a =1\n")

    class Local(InstalledGenerator):
        def load(self) -> Rough:
            return Rough()

    rough = Local(name="rough", origin="acme", entry_point=installed("Consumer").entry_point)
    carry_out(plan_generation(rough, ["orders"], service))

    again = plan_generation(rough, ["orders"], service)

    assert (service.root / CONSUMER).read_text() == "a = 1\n"
    assert again.missing == []
