"""Repositories: everything that can be done with the entities of one model."""

from fastapi_baseline.persistence.paging.parts import Paging
from fastapi_baseline.persistence.reading.reads import Reads
from fastapi_baseline.persistence.scope import ModelT
from fastapi_baseline.persistence.writing.conditional import ConditionalWrites
from fastapi_baseline.persistence.writing.copying import Copying
from fastapi_baseline.persistence.writing.soft_delete import Restores
from fastapi_baseline.persistence.writing.upsert import Upserts
from fastapi_baseline.persistence.writing.writes import Writes


class ReadRepository(Reads[ModelT], Paging[ModelT]):
    """What can be read of the entities of a model: `class Orders(ReadRepository[Order])`.

    It works in a `ReadTransaction`, or in any other. Every read begins at `select`, so a subclass
    that overrides it narrows all of them.
    """


class Repository(
    ReadRepository[ModelT],
    Writes[ModelT],
    ConditionalWrites[ModelT],
    Upserts[ModelT],
    Copying[ModelT],
    Restores[ModelT],
):
    """What can be done with the entities of a model: `class Orders(Repository[Order])`.

    It works in a `Transaction` and never commits: the owner of the transaction does. What can be
    read, updated and deleted begins at `select`, so a subclass that overrides it narrows
    everything, in one place.

    A statement that fails ends the transaction. Whoever wants to catch its error and go on wraps
    the call in `async with session.begin_nested():`.
    """
