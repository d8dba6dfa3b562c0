"""Authorization servers that others have written, and a service that trusts them."""

import base64
import json
import shutil
import subprocess
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends
from httpx2 import AsyncClient

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth import Principal, RequireScopes
from fastapi_baseline.settings.auth import AuthSettings
from fastapi_baseline.testing import ManualClock, ServerProcess, running, server_process

HERE = Path(__file__).parent
# Where the gate has room: what npm installs is none of the tree's.
SCRATCH = HERE.parents[1] / ".nox/scratch/peers/npm"
METADATA = "/.well-known/openid-configuration"

Serving = Callable[..., AbstractAsyncContextManager[AsyncClient]]


@pytest.fixture(scope="session")
def programs() -> Path:
    """Give the folder of the servers, with the packages that the lock file says."""
    for needed in ("node", "npm"):
        if shutil.which(needed) is None:
            pytest.fail(f"{needed} is not on PATH. On Debian: apt-get install nodejs npm")
    SCRATCH.mkdir(parents=True, exist_ok=True)
    for file in (*HERE.glob("*.mjs"), *HERE.glob("package*.json")):
        shutil.copyfile(file, SCRATCH / file.name)
    lock = (HERE / "package-lock.json").read_bytes()
    installed = SCRATCH / "node_modules/.installed-from"
    if not installed.is_file() or installed.read_bytes() != lock:
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(command, cwd=SCRATCH, check=True, timeout=300)
        installed.write_bytes(lock)
    return SCRATCH


@contextmanager
def _started(programs: Path, program: str) -> Generator[ServerProcess]:
    with server_process(
        lambda port: ["node", program, str(port)], cwd=programs, ready_path=METADATA
    ) as server:
        yield server


@pytest.fixture(scope="module")
def oauth2_mock_server(programs: Path) -> Generator[ServerProcess]:
    with _started(programs, "oauth2_mock_server.mjs") as server:
        yield server


@pytest.fixture(scope="module")
def oidc_provider(programs: Path) -> Generator[ServerProcess]:
    with _started(programs, "oidc_provider.mjs") as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that shows the time that the servers know, until it is moved."""
    return ManualClock(datetime.now(UTC))  # noqa: TID251 - that of the machine, as the peers have it


@pytest.fixture
def serving(clock: ManualClock) -> Serving:
    """Give what runs a service with one route, for those who have the scope `orders:read`."""

    @asynccontextmanager
    async def serve(auth: AuthSettings) -> AsyncGenerator[AsyncClient]:
        settings = Settings(environment="test", auth=auth)
        app = create_app(settings, clock=clock, configure_logging=False)
        wanted = Depends(RequireScopes(all=["orders:read"]))

        @app.get("/orders")
        async def list_orders(principal: Annotated[Principal, wanted]) -> dict[str, Any]:
            return {
                "issuer": principal.issuer,
                "subject": principal.subject,
                "client": principal.client_id,
                "scopes": sorted(principal.scopes),
            }

        async with running(app) as client:
            yield client

    return serve


@pytest.fixture(scope="session")
def altered() -> Callable[[str], Mapping[str, str]]:
    """Give what makes of a good token all that it must not be taken for."""
    return _altered


def _altered(token: str) -> Mapping[str, str]:
    header, payload, signature = token.split(".")
    says, claims = _decoded(header), _decoded(payload)
    altered = {
        f"claim {name}": ".".join((header, _encoded({**claims, **change}), signature))
        for name, change in {
            "sub": {"sub": "somebody-else"},
            "scope": {"scope": "orders:read orders:write admin"},
            "exp": {"exp": claims["exp"] + 3600},
            "aud": {"aud": [claims["aud"], "https://other.example.com"]},
            "iss": {"iss": f"{claims['iss']}/"},
            "new": {"roles": ["admin"]},
        }.items()
    }
    altered |= {
        f"claim {name}, left out": ".".join(
            (header, _encoded({key: claims[key] for key in claims if key != name}), signature)
        )
        for name in claims
    }
    altered |= {
        f"header {name}": ".".join((_encoded({**says, **change}), payload, signature))
        for name, change in {
            "alg none": {"alg": "none"},
            "alg HS256": {"alg": "HS256"},
            "alg RS512": {"alg": "RS512"},
            "typ": {"typ": "JWT"},
            "kid": {"kid": "another"},
            "crit": {"crit": ["exp"]},
            "b64": {"b64": False, "crit": ["b64"]},
        }.items()
    }
    flipped = "A" if signature[0] != "A" else "B"
    altered |= {
        "no signature": f"{header}.{payload}.",
        "no signature, alg none": f"{_encoded({'alg': 'none', 'typ': 'at+jwt'})}.{payload}.",
        "another signature": f"{header}.{payload}.{flipped}{signature[1:]}",
        "shorter signature": f"{header}.{payload}.{signature[:-4]}",
        "padded signature": f"{header}.{payload}.{signature}==",
        "parts exchanged": f"{payload}.{header}.{signature}",
        "two parts": f"{header}.{payload}",
        "five parts": f"{header}.{payload}.{signature}.{payload}.{signature}",
        "nothing": "",
    }
    return altered


def _decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def _encoded(part: Mapping[str, Any]) -> str:
    text = json.dumps(part, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()
