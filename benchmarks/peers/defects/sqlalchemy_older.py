"""Why the library asks for SQLAlchemy 2.1: what the release before does not hide."""

from sqlalchemy import event, exists, select
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from benchmarks.peers.defects import scripts
from benchmarks.peers.defects.database import sessions
from benchmarks.peers.defects.models import Account, Base, Order
from benchmarks.peers.defects.probe import Seen, probe


def _hide(state: ORMExecuteState) -> None:
    hidden = with_loader_criteria(Order, Order.id < 0, include_aliases=True)
    state.statement = state.statement.options(hidden)


@probe("soft_delete", peer="sqlalchemy", environment="older")
async def soft_delete() -> Seen:
    """Look with `any()` and `exists()` for a row that a criterion of the session hides."""
    async with sessions(Base.metadata) as make, make() as session:
        session.add(Account(name="a", orders=[Order(id=1)]))
        await session.flush()
        event.listen(Session, "do_orm_execute", _hide)
        try:
            belongs = Order.account_id == Account.id
            found = {
                "select": bool((await session.scalars(select(Order))).all()),
                "any()": bool(await session.scalar(select(Account).where(Account.orders.any()))),
                "exists()": bool(
                    await session.scalar(select(Account).where(exists().where(belongs)))
                ),
            }
        finally:
            event.remove(Session, "do_orm_execute", _hide)
    return Seen(any(found.values()), f"hidden rows found by: {found}")


@probe("process_exit", peer="sqlalchemy", environment="older")
async def process_exit() -> Seen:
    """Leave an engine on aiosqlite that nobody disposed of, and wait for the process."""
    return scripts.ends(scripts.UNDISPOSED)
