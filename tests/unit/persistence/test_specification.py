import pytest
from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fastapi_baseline.persistence import Base
from fastapi_baseline.persistence.specification import Spec, related


class Kettle(Base):
    __tablename__ = "spec_kettle"
    id: Mapped[int] = mapped_column(primary_key=True)
    litres: Mapped[int]
    lid: Mapped["Lid | None"] = relationship(back_populates="kettle")


class Lid(Base):
    __tablename__ = "spec_lid"
    id: Mapped[int] = mapped_column(primary_key=True)
    kettle_id: Mapped[int] = mapped_column(ForeignKey("spec_kettle.id"))
    colour: Mapped[str]
    kettle: Mapped[Kettle] = relationship(back_populates="lid")


_BIG = Spec[Kettle](Kettle.litres > 2)
_SMALL = Spec[Kettle](Kettle.litres < 1)


@pytest.mark.parametrize(
    ("spec", "sql"),
    [
        (_BIG & _SMALL, "spec_kettle.litres > 2 AND spec_kettle.litres < 1"),
        (_BIG | _SMALL, "spec_kettle.litres > 2 OR spec_kettle.litres < 1"),
        (_BIG & (Kettle.litres < 1), "spec_kettle.litres > 2 AND spec_kettle.litres < 1"),
        (_BIG | (Kettle.litres < 1), "spec_kettle.litres > 2 OR spec_kettle.litres < 1"),
        (~_BIG, "spec_kettle.litres <= 2"),
        (~(_BIG | _SMALL), "NOT (spec_kettle.litres > 2 OR spec_kettle.litres < 1)"),
        (
            _BIG & (_SMALL | _BIG),
            "spec_kettle.litres > 2 AND (spec_kettle.litres < 1 OR spec_kettle.litres > 2)",
        ),
        (_BIG & Spec.all(), "spec_kettle.litres > 2"),
        (_BIG | Spec.none(), "spec_kettle.litres > 2"),
        (_BIG & Spec.none(), "false"),
        (~Spec[Kettle].all(), "false"),
    ],
)
def test_joins_conditions(spec: Spec[Kettle], sql: str) -> None:
    assert str(spec.condition.compile(compile_kwargs={"literal_binds": True})) == sql


def test_is_no_truth_value() -> None:
    with pytest.raises(TypeError):
        bool(_BIG.condition)


def test_relations_are_tested_with_exists() -> None:
    red = Spec[Lid](Lid.colour == "red")

    by_spec = str(related(Kettle.lid, red).condition)
    by_condition = str(related(Lid.kettle, Kettle.litres > 2).condition)

    assert by_spec.startswith("EXISTS (SELECT 1 \nFROM spec_lid")
    assert by_condition.startswith("EXISTS (SELECT 1 \nFROM spec_kettle")


def test_stands_where_an_expression_does() -> None:
    statement = select(Kettle.id).where(_BIG, (Kettle.id == 1) & _SMALL)

    sql = str(statement.compile(compile_kwargs={"literal_binds": True}))

    assert sql.endswith(
        "WHERE spec_kettle.litres > 2 AND spec_kettle.id = 1 AND spec_kettle.litres < 1"
    )
