"""Documentation pages at other paths, which may reach an identity provider."""

from fastapi_baseline import Settings, create_app
from fastapi_baseline.documentation import add_documentation_pages
from fastapi_baseline.testing import running

# <start>
app = create_app(Settings(), docs_url="/manual", redoc_url=None)
# <end>
# <start-connect>
add_documentation_pages(app, connect_to=["https://login.example"])
# <end-connect>


async def test_the_page_of_the_guide() -> None:
    async with running(app) as client:
        page = await client.get("/manual")
        elsewhere = [(await client.get(path)).status_code for path in ("/docs", "/redoc")]

    assert "connect-src 'self' https://login.example;" in page.headers["Content-Security-Policy"]
    assert elsewhere == [404, 404]
