"""Many clients at once, over real sockets."""

import asyncio
from pathlib import Path
from typing import Any

from fastapi_baseline.testing import create_schema, running, uvicorn_server
from httpx2 import AsyncClient, Limits
from pydantic import SecretStr

from patients.main import make_app
from patients.settings import Settings

CLIENTS = 100


async def test_stores_what_a_hundred_clients_post_at_once(
    database_url: str, tmp_path: Path, ada: dict[str, Any]
) -> None:
    async with running(app := make_app(Settings(database_url=SecretStr(database_url)))):
        await create_schema(app)
    environment = {"DATABASE_URL": database_url, "ENVIRONMENT": "test"}

    with uvicorn_server("patients.main:app", env=environment, cwd=tmp_path) as server:
        limits = Limits(max_connections=CLIENTS)
        async with AsyncClient(base_url=server.base_url, limits=limits, timeout=60) as client:
            responses = await asyncio.gather(
                *(
                    client.post("/patients", json={**ada, "patientID": f"P{number}"})
                    for number in range(CLIENTS)
                )
            )
            listed = await client.get("/patients")

    assert {response.status_code for response in responses} == {201}
    answered = [response.json() for response in responses]
    assert sorted(listed.json(), key=by_id) == sorted(answered, key=by_id)


async def test_stores_only_one_of_many_with_the_same_patient_id(
    client: AsyncClient, ada: dict[str, Any]
) -> None:
    responses = await asyncio.gather(*(client.post("/patients", json=ada) for _ in range(20)))

    assert sorted(response.status_code for response in responses) == [201, *[409] * 19]
    assert len((await client.get("/patients")).json()) == 1


def by_id(patient: dict[str, Any]) -> str:
    return patient["id"]
