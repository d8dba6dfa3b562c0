import pytest
from sqlalchemy import String, and_
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_baseline.persistence.errors import HiddenColumnError, ReadOnlyColumnError
from fastapi_baseline.persistence.policy import Policy
from fastapi_baseline.persistence.specification import Spec


class Model(DeclarativeBase):
    pass


class Payslip(Model):
    __tablename__ = "payslip"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str]
    amount: Mapped[int] = mapped_column("cents")
    note: Mapped[str] = mapped_column(String(10))


MINE: Spec[Payslip] = Spec(Payslip.owner == "ann")
SMALL: Spec[Payslip] = Spec(Payslip.amount < 5)


def test_allows_everything_if_nothing_is_said() -> None:
    policy = Policy[Payslip]()

    assert [*policy.readable, *policy.before("update"), *policy.before("delete")] == []
    assert policy.after("create") is None


def test_writes_are_bounded_by_what_may_be_read_if_nothing_else_is_said() -> None:
    policy = Policy(read=MINE)

    assert policy.before("update") == [MINE.condition]
    assert policy.after("create") is MINE.condition
    assert policy.after("update") is MINE.condition


def test_what_may_be_updated_must_be_readable_too() -> None:
    policy = Policy(read=MINE, update=SMALL)

    assert policy.before("update") == [MINE.condition, SMALL.condition]
    assert policy.after("update") is SMALL.condition
    assert policy.before("delete") == [MINE.condition]


def test_two_policies_allow_what_both_allow() -> None:
    policy = Policy(read=MINE, name="one") & Policy(read=SMALL, delete=Spec.none(), name="two")

    (readable,) = policy.readable

    assert readable.compare(and_(MINE.condition, SMALL.condition))
    assert policy.update is None
    assert policy.delete is not None
    assert policy.name == "one&two"


def test_a_policy_that_says_nothing_takes_nothing_from_another() -> None:
    policy = Policy[Payslip]() & Policy(read=MINE)

    assert policy.readable == [MINE.condition]


@pytest.mark.parametrize(
    "part",
    [
        Payslip.amount > 1,
        ~(Payslip.amount > 1),
        Payslip.amount.desc().nulls_last(),
        (Payslip.owner == "ann") | (Payslip.amount + 1 == 2),
        Payslip.amount.in_([1, 2]),
    ],
)
def test_refuses_whatever_a_hidden_column_occurs_in(part: object) -> None:
    policy = Policy[Payslip](hidden=[Payslip.amount])

    with pytest.raises(HiddenColumnError) as caught:
        policy.check_reach([part], doing="filtered")  # pyright: ignore[reportArgumentType] -- one of several kinds

    assert "amount" not in caught.value.message
    assert "cents" not in caught.value.message


def test_lets_through_what_is_not_hidden() -> None:
    policy = Policy[Payslip](hidden=[Payslip.amount])

    policy.check_reach([Payslip.owner == "ann", Payslip.note.desc()], doing="filtered")


def test_names_the_columns_that_cannot_be_set() -> None:
    policy = Policy[Payslip](hidden=[Payslip.amount], read_only=[Payslip.owner])

    with pytest.raises(ReadOnlyColumnError) as caught:
        policy.check_settable(["note", "owner", "amount"])

    assert [error.path for error in caught.value.fields] == [("amount",), ("owner",)]


def test_lets_other_columns_be_set() -> None:
    Policy[Payslip](read_only=[Payslip.owner]).check_settable(["note"])


def test_takes_plain_conditions_too() -> None:
    policy = Policy[Payslip](read=Payslip.owner == "ann") & Policy(read=SMALL)

    (readable,) = policy.readable

    assert readable.compare(and_(MINE.condition, SMALL.condition))


def test_a_view_without_a_name_is_told_apart_by_what_can_be_read() -> None:
    mine, theirs = (Policy[Payslip](read=Payslip.owner == name) for name in ("ann", "bob"))

    assert mine.scope != theirs.scope
    assert mine.scope == Policy[Payslip](read=MINE).scope
    assert Policy(read=MINE, name="mine").scope == "mine"
