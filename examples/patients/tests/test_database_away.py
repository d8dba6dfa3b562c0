"""The service while its database is away."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fastapi_baseline.testing import create_schema, postgres_server, running, uvicorn_server
from httpx2 import Client
from pydantic import SecretStr

from patients.main import make_app
from patients.settings import Settings


async def test_answers_503_and_lives_on_while_postgresql_is_stopped(
    tmp_path: Path, ada: dict[str, Any]
) -> None:
    with ExitStack() as service, ExitStack() as database:
        url = database.enter_context(postgres_server()).url
        async with running(app := make_app(Settings(database_url=SecretStr(url)))):
            await create_schema(app)
        environment = {
            "DATABASE_URL": url,
            # In tests, checks run only while a probe waits for them.
            "ENVIRONMENT": "development",
            "HEALTH__INTERVAL": "0.2",
            "HEALTH__FAILURES_TO_UNREADY": "1",
        }
        server = service.enter_context(
            uvicorn_server("patients.main:app", env=environment, cwd=tmp_path)
        )
        client = service.enter_context(Client(base_url=server.base_url))
        assert client.post("/patients", json=ada).status_code == 201

        database.close()
        server.wait_for_line("The check 'database' found a fault")

        for response in (
            client.get("/patients"),
            client.get("/patients/x"),
            client.post("/patients", json={**ada, "patientID": "P2"}),
            client.get("/readyz"),
        ):
            assert response.status_code == 503
            assert response.headers["content-type"] == "application/problem+json"
        assert client.get("/livez").status_code == 200
        assert server.returncode is None
