"""How items are found and changed; what they all have in common is the library's."""

from fastapi_baseline.persistence import ReadRepository, Repository, Spec

from order_service.domains.items.models import Item


class ItemReader(ReadRepository[Item]):
    """Items, in a transaction that only reads."""

    def in_stock(self) -> Spec[Item]:
        """Return what items meet of which there are some."""
        return Spec(Item.quantity > 0)


class ItemRepository(ItemReader, Repository[Item]):
    """Items, in a transaction that also writes."""
