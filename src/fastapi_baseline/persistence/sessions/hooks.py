"""What is done when it is known how a transaction ended."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from inspect import isawaitable
from typing import Literal

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

_LOG = logging.getLogger(__name__)

Hook = Callable[[], Awaitable[object] | object]
"""What takes nothing, and is awaited if it asks for that."""

Outcome = Literal["commit", "rollback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Registration:
    outcome: Outcome
    hook: Hook
    owner: SessionTransaction | None
    """The transaction or savepoint that it was registered in."""


class Hooks:
    """The hooks of one session; each belongs to the savepoint that it was registered in."""

    def __init__(self, session: Session) -> None:
        """Listen to how transactions and savepoints of `session` end."""
        self._session = session
        self._registered: list[_Registration] = []
        self._committed = set[SessionTransaction]()

    def add(self, outcome: Outcome, hook: Hook) -> None:
        """Remember what to call if the present transaction, or savepoint, ends that way."""
        if not self._registered:
            event.listen(self._session, "after_commit", self._note_commit)
        registration = _Registration(outcome=outcome, hook=hook, owner=self._innermost())
        self._registered.append(registration)

    async def run(self) -> None:
        """Call what the outcome asks for, in order of registration, and forget all of it.

        A hook that fails is logged, and the next is called: what has ended stays so.
        """
        due = [*self._due()]
        if self._registered:
            event.remove(self._session, "after_commit", self._note_commit)
        self._registered.clear()
        self._committed.clear()
        for registration in due:
            await _call(registration)

    def _due(self) -> Iterator[_Registration]:
        for registration in self._registered:
            outcome = "commit" if self._is_committed(registration.owner) else "rollback"
            if outcome == registration.outcome:
                yield registration

    def _is_committed(self, transaction: SessionTransaction | None) -> bool:
        # Something registered when nothing was under way is as good as rolled back.
        if transaction is None:
            return False
        while transaction is not None:
            if transaction not in self._committed:
                return False
            transaction = transaction.parent
        return True

    def _innermost(self) -> SessionTransaction | None:
        return self._session.get_nested_transaction() or self._session.get_transaction()

    def _note_commit(self, session: Session) -> None:
        del session
        if (transaction := self._innermost()) is not None:
            self._committed.add(transaction)


async def _call(registration: _Registration) -> None:
    try:
        result = registration.hook()
        if isawaitable(result):
            await result
    except (Exception, asyncio.CancelledError) as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise  # Meant for this task, and not for something that the hook was waiting for.
        _LOG.exception("A hook failed after the %s: %r", registration.outcome, registration.hook)
