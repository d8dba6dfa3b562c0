"""Errors of a service, and what clients see of them."""

from datetime import timedelta

from pydantic import BaseModel, Field

from fastapi_baseline import Settings, create_app

# <start-errors>
from fastapi_baseline.errors import ConflictError, FieldError, UnavailableError, UnprocessableError
from fastapi_baseline.problems import problem_responses


class NotEnoughStockError(ConflictError):
    """More was ordered than there is."""

    code = "not_enough_stock"
    default_message = "There is not enough in stock."


class CarrierAwayError(UnavailableError):
    """The carrier does not answer."""

    code = "carrier_away"
    default_message = "The carrier does not answer."


# <end-errors>

app = create_app(Settings(environment="test"), configure_logging=False)


class Order(BaseModel):
    """An order."""

    item_number: int = Field(alias="itemNumber")
    quantity: int


# <start-use>
def place(order: Order) -> None:
    """Place an order; knows the rules, and nothing of HTTP."""
    if order.item_number > 1000:
        fault = FieldError(
            path=("item_number",), detail="There is no such item.", code="unknown_item"
        )
        raise UnprocessableError(fields=[fault])
    if order.quantity > 10:
        raise NotEnoughStockError(f"Only 10 of item {order.item_number} are in stock.")
    if order.quantity == 0:
        raise CarrierAwayError(retry_after=timedelta(seconds=30))


# <end-use>
# <start-document>
@app.post(
    "/orders",
    status_code=201,
    responses=problem_responses(NotEnoughStockError, CarrierAwayError, UnprocessableError),
)
async def add_order(order: Order) -> str:
    """Place an order."""
    place(order)
    return "placed"


# <end-document>
