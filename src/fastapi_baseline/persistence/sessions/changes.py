"""What a transaction has changed, told to whoever asked when it is committed.

A model says under which name: `__cache_tag__ = "patients"`. What is told are names that a cache may
have given to what it keeps: `patients` whenever anything changes, `patients:5` if it is that row,
and `patients:*` if nobody knows which rows it was.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import async_session
from sqlalchemy.orm import Mapper, ORMExecuteState, Session, SessionTransaction, UOWTransaction

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.sessions.session import WriteSession

Listener = Callable[..., Awaitable[object] | object]
"""What takes names, as many as there are; it is awaited if it asks for that."""

LISTENERS = "fastapi_baseline_change_listeners"
"""What `session.info` has for the sessions of a `Database`: a list of listeners."""
CHANGED_KEY = "fastapi_baseline_changed_key"
"""The execution option of a statement that changes one row at most: its primary key."""

_TOLD = "fastapi_baseline_changes"

_Pending = dict[SessionTransaction | None, dict[str, None]]


def cache_tags(model: type[Any], *keys: Any) -> tuple[str, ...]:
    """Return the tags of something that shows any rows of a model, or the rows with these keys.

    What shows rows by their keys is not touched by changes to others. The key of a table with
    several columns in it is a tuple.

    Raises:
        ConfigurationError: If the model has no `__cache_tag__`.
    """
    tag = find_tag(model)
    if tag is None:
        raise ConfigurationError(
            f"{model.__name__} has no tag: give it one, __cache_tag__ = {model.__name__.lower()!r}"
        )
    return (*(_row(tag, key) for key in keys), f"{tag}:*") if keys else (tag,)


def find_tag(model: type[Any]) -> str | None:
    """Return the tag of a model, or `None` if nobody wants to know of its changes."""
    return getattr(model, "__cache_tag__", None)


def note_changes(session: Session, model: type[Any], keys: Iterable[Any] | None = None) -> None:
    """Note that rows of a model are changed, and which, if that is known.

    It is told when the present transaction, or savepoint, is committed.
    """
    listeners: list[Listener] | None = session.info.get(LISTENERS)
    tag = find_tag(model)
    if not listeners or tag is None:
        return
    names = _names_to_tell(session, listeners)
    names[tag] = None
    names.update(dict.fromkeys([f"{tag}:*"] if keys is None else [_row(tag, key) for key in keys]))


def note_flush(session: Session, flush: UOWTransaction) -> None:
    """Note what a flush has written."""
    del flush
    if not session.info.get(LISTENERS):
        return
    changed: list[Any] = [
        *session.new,
        *session.deleted,
        *filter(session.is_modified, session.dirty),
    ]
    for entity in changed:
        model = cast("type[Any]", type(entity))
        if find_tag(model) is not None:
            mapper: Mapper[Any] = inspect(model)
            note_changes(session, model, [tuple(mapper.primary_key_from_instance(entity))])


def note_statement(execution: ORMExecuteState) -> None:
    """Note what a statement is about to write."""
    if not (execution.is_update or execution.is_insert or execution.is_delete):
        return
    if execution.session.info.get(LISTENERS) and execution.bind_mapper is not None:
        key = execution.execution_options.get(CHANGED_KEY)
        keys = None if key is None else [key]
        note_changes(execution.session, execution.bind_mapper.class_, keys)


def _names_to_tell(session: Session, listeners: list[Listener]) -> dict[str, None]:
    """Return the names that the present transaction, or savepoint, tells if it is committed."""
    pending = cast("_Pending", session.info.setdefault(_TOLD, {}))
    owner = session.get_nested_transaction() or session.get_transaction()
    if owner in pending:
        return pending[owner]
    names = pending[owner] = {}
    owning = async_session(session)
    if not isinstance(owning, WriteSession):
        return names

    async def tell() -> None:
        pending.pop(owner, None)
        for listener in listeners:
            told = listener(*names)
            if isinstance(told, Awaitable):
                await told

    owning.on_commit(tell)
    owning.on_rollback(lambda: pending.pop(owner, None))
    return names


def _row(tag: str, key: Any) -> str:
    parts = cast("tuple[Any, ...]", key) if isinstance(key, tuple) else (key,)
    return f"{tag}:{','.join(map(str, parts))}"
