import pytest
from sqlalchemy.orm import Mapped

from fastapi_baseline.errors import ForbiddenError
from fastapi_baseline.persistence import Base, Database, Repository, UUIDPrimaryKey
from fastapi_baseline.persistence.policy import Policy
from fastapi_baseline.persistence.specification import Spec


class ReturnedRow(Base, UUIDPrimaryKey):
    must: Mapped[str]
    note: Mapped[str | None]


class ReturnedRows(Repository[ReturnedRow]):
    pass


has_note = Policy[ReturnedRow](update=Spec(ReturnedRow.note.is_not(None)))
has_none = Policy[ReturnedRow](update=Spec(ReturnedRow.note.is_(None)))


@pytest.mark.parametrize(
    ("policy", "before", "after"), [(has_note, "x", None), (has_none, None, "x")]
)
async def test_a_value_that_the_policy_needs_or_forbids_stays_so(
    database: Database, policy: Policy[ReturnedRow], before: str | None, after: str | None
) -> None:
    async with database.transaction() as session:
        rows = ReturnedRows(session)
        key = (await rows.add(ReturnedRow(must="m", note=before))).id
        with pytest.raises(ForbiddenError):
            await rows.restricted(policy).update(key, {"note": after})
        with pytest.raises(ForbiddenError):
            await rows.restricted(policy).update_where(
                ReturnedRow.must == "m", values={"note": after}
            )


async def test_what_the_policy_allows_is_updated(database: Database) -> None:
    async with database.transaction() as session:
        rows = ReturnedRows(session)
        key = (await rows.add(ReturnedRow(must="m", note="x"))).id
        updated = await rows.restricted(has_note).update(key, {"note": "y"})

    assert updated.note == "y"
