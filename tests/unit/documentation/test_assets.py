import subprocess
import sys

from fastapi_baseline.documentation.assets import find_assets, media_type_of

PROGRAM = """
import sys
from fastapi import FastAPI
from fastapi_baseline.documentation import add_documentation_pages
add_documentation_pages(FastAPI())
assert "fastapi_standalone_docs" not in sys.modules
"""


def test_the_package_with_the_files_is_not_imported() -> None:
    subprocess.run((sys.executable, "-c", PROGRAM), check=True)


def test_every_file_is_there_and_has_a_media_type() -> None:
    assets = find_assets(allow_cdn=False)

    assert assets is not None
    assert all(path.is_file() and media_type_of(path) for path in assets.files.values())
    assert {"oauth2-redirect.js", "swagger-initializer.js"} < assets.files.keys()


def test_an_address_changes_with_the_version() -> None:
    assets = find_assets(allow_cdn=False)

    assert assets is not None
    assert assets.url("favicon.png", prefix="/docs/assets").split("/")[3] == assets.version
