"""The rules about items; HTTP is the router's, SQL the repository's."""

from uuid import UUID

from fastapi_baseline.errors import ConflictError

from order_service.domains.items.models import Item
from order_service.domains.items.repository import ItemRepository


class ItemInStockError(ConflictError):
    """An item cannot be removed while there is some of it."""

    code = "item_in_stock"
    default_message = "The item is in stock: sell it off before you remove it."


class ItemService:
    """What can be done with items."""

    def __init__(self, items: ItemRepository) -> None:
        self._items = items

    async def add(self, *, name: str, quantity: int) -> Item:
        """Add an item; raise `UniqueViolationError` if its name is taken."""
        return await self._items.add(Item(name=name, quantity=quantity))

    async def remove(self, item_id: UUID) -> None:
        """Remove an item; raise `ItemInStockError` if there is some of it."""
        item = await self._items.get(item_id)
        if item.quantity:
            raise ItemInStockError
        await self._items.delete(item)
