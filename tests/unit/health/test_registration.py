import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.health import CheckRegistration, HealthGroup
from fastapi_baseline.health.registration import members_of_groups, registered


class Check:
    def __init__(self, name: str) -> None:
        self.name = name

    async def check(self) -> None: ...


DATABASE, CACHE, BANK = (CheckRegistration(Check(name)) for name in ("database", "cache", "bank"))


def test_a_plain_check_is_critical_for_readiness() -> None:
    check = Check("database")

    assert registered([check]) == [CheckRegistration(check, critical=True, groups=("ready",))]


def test_refuses_two_checks_of_one_name() -> None:
    with pytest.raises(ConfigurationError, match="Two health checks are called 'a'"):
        registered([Check("a"), Check("b"), Check("a")])


def test_checks_are_in_the_groups_that_they_name() -> None:
    mixed = CheckRegistration(Check("mixed"), groups=("ready", "startup"))

    members = members_of_groups([DATABASE, mixed], ())

    assert members == {"live": (), "ready": ("database", "mixed"), "startup": ("mixed",)}


@pytest.mark.parametrize(
    ("group", "members"),
    [
        (HealthGroup(name="g"), ("database", "cache", "bank")),
        (HealthGroup(name="g", exclude=["cache"]), ("database", "bank")),
        (HealthGroup(name="g", include=["bank", "database"]), ("database", "bank")),
        (HealthGroup(name="g", include=["bank", "cache"], exclude=["bank"]), ("cache",)),
    ],
    ids=["all", "exclude", "include", "both"],
)
def test_a_group_includes_and_excludes(group: HealthGroup, members: tuple[str, ...]) -> None:
    assert members_of_groups([DATABASE, CACHE, BANK], [group])["g"] == members


def test_a_group_can_replace_what_the_checks_say_of_themselves() -> None:
    ready = HealthGroup(name="ready", exclude=["bank"])

    assert members_of_groups([DATABASE, BANK], [ready])["ready"] == ("database",)


def test_a_check_can_name_a_group_that_is_declared() -> None:
    check = CheckRegistration(Check("ledger"), groups=("payments",))

    with pytest.raises(ConfigurationError, match="is in 'payments', which is no group"):
        members_of_groups([check], ())
    assert "payments" in members_of_groups([check], [HealthGroup(name="payments")])


def test_refuses_a_group_with_an_unknown_member() -> None:
    group = HealthGroup(name="payments", include=["database", "bnak"])

    with pytest.raises(ConfigurationError, match="'payments' names 'bnak', which is no health"):
        members_of_groups([DATABASE, BANK], [group])


def test_refuses_to_exclude_what_does_not_exist() -> None:
    with pytest.raises(ConfigurationError, match="names 'cahce'"):
        members_of_groups([CACHE], [HealthGroup(name="payments", exclude=["cahce"])])


def test_refuses_two_groups_of_one_name() -> None:
    with pytest.raises(ConfigurationError, match="Two groups of health checks are called 'g'"):
        members_of_groups([], [HealthGroup(name="g"), HealthGroup(name="g")])


def test_refuses_to_declare_liveness() -> None:
    with pytest.raises(ConfigurationError, match="'live' cannot be declared"):
        members_of_groups([], [HealthGroup(name="live")])
