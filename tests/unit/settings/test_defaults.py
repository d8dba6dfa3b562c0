from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import ValidationError

from fastapi_baseline import ConfigurationError, Settings
from fastapi_baseline.settings import (
    DEFAULTS,
    AuthSettings,
    BehaviourChange,
    DatedDefaults,
    RequestSettings,
    TokenSettings,
)
from fastapi_baseline.settings.contract import find_variables
from fastapi_baseline.settings.defaults import DatedSource


def change(setting: str, old: str, new: str, since: str) -> BehaviourChange:
    return BehaviourChange(setting=setting, old=old, new=new, since=since, why="It is better.")


TIMEOUT = change("requests.timeout", "30", "20", "2027.03")
ENCODINGS = change("compression.encodings", "zstd,br,gzip", "zstd,gzip", "2027.03")
NAME = change("service_name", "service", "nobody", "2027.06")
KEYS = change("auth.tokens.timeout", "5", "2", "2027.06")
QUICKER = change("requests.timeout", "20", "none", "2028.01")
LATER = DatedDefaults(
    oldest="2026.11", latest="2028.02", changes=(TIMEOUT, ENCODINGS, NAME, KEYS, QUICKER)
)


class Service(Settings):
    dated_defaults: ClassVar[DatedDefaults] = LATER


class SilentService(Service):
    """One whose code says something of the sections, and nothing of what changes in them."""

    requests: RequestSettings = RequestSettings(max_in_flight=7)
    auth: AuthSettings = AuthSettings(resource="https://shop.example", tokens=TokenSettings())


class QuickRequests(RequestSettings):
    timeout: timedelta | None = timedelta(seconds=30)


class OutspokenService(Service):
    """One whose code says everything that changes, as it was before."""

    service_name: str = "service"
    requests: RequestSettings = QuickRequests()
    auth: AuthSettings = AuthSettings(tokens=TokenSettings(timeout=timedelta(seconds=5)))


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def dated(settings: Settings) -> tuple[object, ...]:
    timeout = settings.requests.timeout
    return (
        None if timeout is None else timeout.total_seconds(),
        settings.compression.encodings,
        settings.service_name,
        settings.auth.tokens.timeout.total_seconds(),
    )


OLD = (30, ("zstd", "br", "gzip"), "service", 5)


def test_a_service_that_says_nothing_keeps_what_it_had() -> None:
    assert dated(Service()) == dated(Settings()) == OLD


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("2026.11", OLD),
        ("2027.02", OLD),
        ("2027.03", (20, ("zstd", "gzip"), "service", 5)),
        ("2027.12", (20, ("zstd", "gzip"), "nobody", 2)),
        ("2028.02", (None, ("zstd", "gzip"), "nobody", 2)),
    ],
)
def test_a_service_has_the_defaults_of_its_date(date: str, expected: tuple[object, ...]) -> None:
    assert dated(Service(baseline_defaults=date)) == expected


def test_the_date_may_stand_in_the_class() -> None:
    class Raised(Service):
        baseline_defaults: str = "2027.03"

    assert Raised().requests.timeout == timedelta(seconds=20)


def test_the_date_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASELINE_DEFAULTS", "2027.03")

    assert Service().requests.timeout == timedelta(seconds=20)


def test_the_date_may_stand_in_the_env_file(empty_folder: Path) -> None:
    (empty_folder / ".env").write_text("BASELINE_DEFAULTS=2027.03\n", encoding="utf-8")

    assert Service().requests.timeout == timedelta(seconds=20)


def test_what_the_environment_says_counts_before_the_date(
    monkeypatch: pytest.MonkeyPatch, empty_folder: Path
) -> None:
    (empty_folder / ".env").write_text("AUTH__TOKENS__TIMEOUT=4\n", encoding="utf-8")
    monkeypatch.setenv("REQUESTS__TIMEOUT", "30")
    monkeypatch.setenv("COMPRESSION", '{"encodings": ["br"]}')

    assert dated(Service(baseline_defaults="2028.02")) == (30, ("br",), "nobody", 4)


def test_what_the_class_says_counts_before_the_date_even_if_it_says_the_old_default() -> None:
    settings = OutspokenService(baseline_defaults="2028.02")

    assert dated(settings) == (30, ("zstd", "gzip"), "service", 5)


def test_what_a_section_in_the_class_does_not_say_follows_the_date() -> None:
    settings = SilentService(baseline_defaults="2028.02")

    assert dated(settings) == (None, ("zstd", "gzip"), "nobody", 2)
    assert settings.requests.max_in_flight == 7
    assert settings.auth.resource == "https://shop.example"


def test_what_the_code_hands_over_counts_before_the_date() -> None:
    settings = Service(
        baseline_defaults="2028.02",
        service_name="shop",
        requests=RequestSettings(timeout=timedelta(seconds=30)),
    )

    assert dated(settings) == (30, ("zstd", "gzip"), "shop", 2)


def test_what_a_section_that_is_handed_over_does_not_say_follows_the_date() -> None:
    settings = Service(baseline_defaults="2027.03", requests=RequestSettings(max_in_flight=7))

    assert settings.requests.timeout == timedelta(seconds=20)
    assert settings.requests.max_in_flight == 7


def test_a_section_that_is_none_is_refused_at_any_date() -> None:
    with pytest.raises(ValidationError, match="requests\n"):
        Service.model_validate({"baseline_defaults": "2027.03", "requests": "nonsense"})


def test_gives_nothing_for_a_field_by_itself() -> None:
    source = DatedSource(Service, LATER, others=())

    field = Service.model_fields["service_name"]
    assert source.get_field_value(field, "service_name") == (None, "service_name", False)


@pytest.mark.parametrize(
    ("date", "message"),
    [
        ("2028.03", "knows defaults up to 2028.02; upgrade it"),
        ("2026.10", "no longer has defaults older than 2026.11"),
        ("2027.13", "write a year and a month, such as 2028.02"),
        ("latest", "write a year and a month"),
    ],
)
def test_refuses_a_date_that_it_cannot_follow(
    date: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASELINE_DEFAULTS", date)

    with pytest.raises(ConfigurationError, match=f"BASELINE_DEFAULTS: .*{message}"):
        Service.load()


def test_refuses_a_date_in_the_class_that_it_does_not_know_yet() -> None:
    class Ahead(Settings):
        baseline_defaults: str = "2999.01"

    with pytest.raises(ConfigurationError, match="upgrade it"):
        Ahead.load()


@pytest.mark.parametrize(
    ("oldest", "latest", "changes"),
    [
        ("2026.11", "2027.02", (TIMEOUT,)),
        ("2027.03", "2027.03", (TIMEOUT,)),
        ("2026.11", "2028.02", (NAME, TIMEOUT)),
        ("2026.11", "next", ()),
        ("2026.11", "2026.10", ()),
    ],
    ids=["later than the latest", "as old as the oldest", "not in order", "no date", "reversed"],
)
def test_refuses_changes_that_contradict_its_dates(
    oldest: str, latest: str, changes: tuple[BehaviourChange, ...]
) -> None:
    with pytest.raises(ConfigurationError):
        DatedDefaults(oldest=oldest, latest=latest, changes=changes)


def test_tells_what_changes_between_two_dates() -> None:
    assert LATER.between("2027.03", "2027.06") == (NAME, KEYS)
    assert LATER.between("2027.06") == (QUICKER,)
    assert LATER.between("2028.02") == ()


def test_a_change_says_what_restores_it() -> None:
    assert TIMEOUT.variable == "REQUESTS__TIMEOUT"
    assert TIMEOUT.restore == "REQUESTS__TIMEOUT=30"


def faults(defaults: DatedDefaults) -> list[str]:
    """Give what is wrong with changes: they begin at what the code has, and end at what it takes."""

    class Following(Settings):
        dated_defaults: ClassVar[DatedDefaults] = defaults

    known: dict[tuple[str, ...], str | None] = {
        variable.path: variable.default for variable in find_variables(Settings)
    }
    wrong: list[str] = []
    for one in defaults.changes:
        if (known.get(one.path) or "none") != one.old:
            wrong.append(f"{one.setting} is not {one.old}")
        known[one.path] = one.new
        try:
            Following(baseline_defaults=one.since)
        except ValidationError:
            wrong.append(f"{one.setting} cannot be {one.new}")
    return wrong


def test_every_change_of_the_library_can_be_made() -> None:
    assert faults(DEFAULTS) == []


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (change("requests.timeout", "31", "20", "2027.03"), "requests.timeout is not 31"),
        (change("requests.time", "30", "20", "2027.03"), "requests.time is not 30"),
        (change("requests.timeout", "30", "soon", "2027.03"), "requests.timeout cannot be soon"),
    ],
    ids=["another default", "no setting", "no value"],
)
def test_a_change_that_cannot_be_made_would_be_found(wrong: BehaviourChange, fault: str) -> None:
    assert fault in faults(DatedDefaults(oldest="2026.11", latest="2027.03", changes=(wrong,)))


def test_changes_that_follow_each_other_can_be_made() -> None:
    assert faults(LATER) == []
