"""What a service counts by itself."""

from fastapi import APIRouter
from httpx2 import ASGITransport, AsyncClient
from opentelemetry.metrics import CallbackOptions, Observation

from fastapi_baseline import Settings, create_app

# <start>
from fastapi_baseline.observability.metrics import PrometheusMeterProvider, View

provider = PrometheusMeterProvider(
    views={"shop.basket.value": View(attributes=("channel",), buckets=(10, 20, 50, 100, 500))}
)
meter = provider.get_meter("shop")
orders = meter.create_counter("shop.orders.placed", unit="{order}", description="Orders so far.")
baskets = meter.create_histogram("shop.basket.value", unit="EUR", description="What is bought.")
# <end>

router = APIRouter()


# <start-use>
@router.post("/orders", status_code=201)
async def place_order(value: float, customer: str) -> None:
    """Place an order."""
    orders.add(1, {"channel": "web"})
    baskets.record(value, {"channel": "web", "customer": customer})


# <end-use>
# <start-observe>
waiting: list[str] = []


def count_waiting(options: CallbackOptions) -> list[Observation]:
    """Return how many parcels wait at the moment."""
    return [Observation(len(waiting), {"depot": "north"})]


meter.create_observable_up_down_counter(
    "shop.parcels.waiting", callbacks=[count_waiting], unit="{parcel}", description="Not sent yet."
)
# <end-observe>


async def test_the_metrics_of_the_guide() -> None:
    app = create_app(Settings(environment="test"))
    app.include_router(router)

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        await client.post("/orders", params={"value": 15, "customer": "ann"})
        await client.post("/orders", params={"value": 70, "customer": "bob"})
        waiting.append("parcel")
        lines = (await client.get("/metrics")).text.splitlines()

    assert 'shop_orders_placed_total{channel="web"} 2.0' in lines
    assert 'shop_basket_value_EUR_bucket{channel="web",le="20.0"} 1.0' in lines
    assert 'shop_parcels_waiting{depot="north"} 1.0' in lines
    assert not any("customer=" in line for line in lines)
