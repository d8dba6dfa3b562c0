"""The operations of the data benchmark with fastapi-pagination, and fastapi-filter before it."""

from base64 import b64encode

from fastapi_filter.contrib.sqlalchemy import Filter
from fastapi_pagination import Page, Params, set_page
from fastapi_pagination.cursor import CursorPage
from fastapi_pagination.customization import CustomizedPage, UseIncludeTotal
from fastapi_pagination.ext.sqlalchemy import apaginate
from sqlalchemy import select

from benchmarks._data.models import FEW_RANKS, PAGE, Event, EventOut, Order, OrderOut, rank_of

PACKAGES = ("fastapi-pagination", "fastapi-filter", "sqlakeyset")

# It counts a total by default.
_NO_TOTAL = UseIncludeTotal(include_total=False)
_Slice = CustomizedPage[Page[EventOut], _NO_TOTAL]
_Cursor = CustomizedPage[CursorPage[EventOut], _NO_TOTAL]


class EventFilter(Filter):
    """As the documentation shows it."""

    amount__gte: int | None = None
    rank__lt: int | None = None

    class Constants(Filter.Constants):
        """What it filters."""

        model = Event


def _filtered(**filters):
    return EventFilter(**filters).filter(select(Event)).order_by(Event.rank, Event.id)


def operations(keys, sizes):
    """Return what it does, by the name of the operation."""
    del keys

    def page(kind, offset, **filters):
        async def page(session, _number):
            with set_page(kind):
                params = kind.__params_type__(page=offset // PAGE + 1, size=PAGE)
                return await apaginate(session, _filtered(**filters), params)

        return page

    def keyset(depth):
        bookmark = b64encode(f">i:{rank_of(depth)}~i:{depth}".encode()).decode() if depth else None

        async def keyset(session, _number):
            with set_page(_Cursor):
                params = _Cursor.__params_type__(size=PAGE, cursor=bookmark)
                return await apaginate(session, _filtered(amount__gte=0), params)

        return keyset

    async def relations(session, _number):
        with set_page(Page[OrderOut]):
            return await apaginate(session, select(Order).order_by(Order.id), Params(size=PAGE))

    return {
        "list": page(_Slice, 0, amount__gte=0),
        "list shallow": page(_Slice, sizes.shallow, amount__gte=0),
        "list deep": page(_Slice, sizes.deep, amount__gte=0),
        "keyset": keyset(0),
        "keyset deep": keyset(sizes.deep),
        "total": page(Page[EventOut], 0, amount__gte=0),
        "total small": page(Page[EventOut], 0, rank__lt=FEW_RANKS),
        "relations": relations,
    }
