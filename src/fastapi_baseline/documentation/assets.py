"""Where the scripts and styles of the documentation pages are.

Swagger UI and Redoc come from the package `fastapi-standalone-docs`. Only its files are used: it is
not imported.
"""

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DISTRIBUTION = "fastapi-standalone-docs"
_CDN = "https://cdn.jsdelivr.net"
"""Where the same files are for pages of a service that has none of its own."""

_SCRIPT = "text/javascript"
_OWN = Path(__file__).parent / "scripts"
_BUNDLED = {
    "swagger-ui-bundle.js": "swagger/swagger-ui-bundle.js",
    "swagger-ui.css": "swagger/swagger-ui.css",
    "redoc.standalone.js": "redoc/redoc.standalone.js",
    "logo-mini.svg": "redoc/logo-mini.svg",
    "favicon.png": "fastapi/favicon.png",
}
_ON_CDN = {
    "swagger-ui-bundle.js": f"{_CDN}/npm/swagger-ui-dist@5/swagger-ui-bundle.js",
    "swagger-ui.css": f"{_CDN}/npm/swagger-ui-dist@5/swagger-ui.css",
    "redoc.standalone.js": f"{_CDN}/npm/redoc@2/bundles/redoc.standalone.js",
}
_MEDIA_TYPES = {".js": _SCRIPT, ".css": "text/css", ".svg": "image/svg+xml", ".png": "image/png"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """The files that the service has, by name, and the addresses of those that it has not."""

    version: str
    files: Mapping[str, Path]
    addresses: Mapping[str, str]

    def url(self, name: str, *, prefix: str) -> str:
        """Return the address of a file, below `prefix` if the service has it.

        It changes with the version, so whatever is there can be kept for ever.
        """
        return self.addresses.get(name) or f"{prefix}/{self.version}/{name}"


def find_assets(*, allow_cdn: bool) -> Assets | None:
    """Return the files of the installed package, or those of the CDN if that is allowed.

    `None` means that there are none.
    """
    own = {path.name: path for path in sorted(_OWN.glob("*.js"))}
    mark = hashlib.sha256(b"".join(path.read_bytes() for path in own.values())).hexdigest()[:8]
    # Found without running any of its code.
    spec = importlib.util.find_spec(DISTRIBUTION.replace("-", "_"))
    for place in (spec.submodule_search_locations or ()) if spec else ():
        bundled = {name: Path(place) / "static" / path for name, path in _BUNDLED.items()}
        version = f"{importlib.metadata.version(DISTRIBUTION)}-{mark}"
        return Assets(version=version, files=bundled | own, addresses={})
    if allow_cdn:
        return Assets(version=mark, files=own, addresses=_ON_CDN)
    return None


def media_type_of(path: Path) -> str:
    """Return the media type of an asset."""
    return _MEDIA_TYPES[path.suffix]
