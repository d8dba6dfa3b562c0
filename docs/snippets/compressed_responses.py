"""Responses in fewer bytes, and one that stays as it is."""

import pytest
from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from fastapi_baseline import Settings, create_app
from fastapi_baseline.middleware.compression import leave_uncompressed
from fastapi_baseline.testing import running

router = APIRouter()


@router.get("/lamps")
async def list_lamps() -> list[str]:
    """Return many lamps."""
    return ["blue", "red"] * 500


# <start-secret>
@router.get("/search", dependencies=[Depends(leave_uncompressed)])
async def search(text: str) -> dict[str, str]:
    """Return what was searched for, next to a token that must stay secret."""
    return {"found": text * 500, "upload_token": "c0ffee"}


# <end-secret>


# <start-no-transform>
@router.get("/export")
async def export() -> StreamingResponse:
    """Return bytes that nobody on the way may change, so that a checksum of them fits."""
    headers = {"Cache-Control": "private, no-transform"}
    return StreamingResponse(iter([b"a line\n"] * 500), media_type="text/csv", headers=headers)


# <end-no-transform>


@pytest.mark.parametrize(
    ("path", "encoding"), [("/lamps", "gzip"), ("/search?text=a", None), ("/export", None)]
)
async def test_routes_say_what_may_be_encoded(path: str, encoding: str | None) -> None:
    app = create_app(Settings(environment="test"), configure_logging=False)
    app.include_router(router)

    async with running(app) as client:
        response = await client.get(path, headers={"Accept-Encoding": "gzip"})

    assert response.status_code == 200
    assert response.headers.get("Content-Encoding") == encoding
    assert "Accept-Encoding" in response.headers["Vary"]
