import pytest
from sqlalchemy.orm import Mapped, defer, mapped_column

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Base
from fastapi_baseline.persistence.loading import plan_of


class Drawer(Base):
    __tablename__ = "loading_drawer"
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str]


class Drawers:
    pass


_OPTION = defer(Drawer.label)
_PLANS = {"short": [_OPTION], "bare": []}


def test_is_named_or_given() -> None:
    assert plan_of("short", _PLANS, Drawers) == (_OPTION,)
    assert plan_of("bare", _PLANS, Drawers) == ()
    assert plan_of(_OPTION, _PLANS, Drawers) == (_OPTION,)
    assert plan_of([_OPTION, _OPTION], _PLANS, Drawers) == (_OPTION, _OPTION)
    assert plan_of(None, _PLANS, Drawers) == ()


@pytest.mark.parametrize(
    ("plans", "words"), [(_PLANS, "'long'.*: bare, short"), ({}, "'long'.*: none")]
)
def test_names_the_plans_that_there_are(plans: dict[str, list[object]], words: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Drawers has no load plan {words}"):
        plan_of("long", plans, Drawers)  # pyright: ignore[reportArgumentType] -- none is looked at
