"""Which responses may be sent in an encoding."""

import re
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus

from starlette.requests import HTTPConnection
from starlette.types import Scope

_FLAG = "fastapi_baseline.uncompressed"

_FIRST_FINAL_STATUS = 200
# They have no body, or a part of one whose bytes are counted as they are.
_STATUSES = frozenset(
    {
        HTTPStatus.NO_CONTENT,
        HTTPStatus.RESET_CONTENT,
        HTTPStatus.PARTIAL_CONTENT,
        HTTPStatus.NOT_MODIFIED,
    }
)
# Each names the bytes as they are (RFC 9530, and what was used before it).
_OF_THESE_BYTES = frozenset(
    {b"content-encoding", b"content-digest", b"repr-digest", b"digest", b"content-md5"}
)
_NO_TRANSFORM = re.compile(rb"(?:^|[,\s])no-transform(?:$|[,;\s])", re.IGNORECASE)
# Clients read these while they arrive, each event or part by itself.
_NEVER = re.compile(r"text/event-stream|multipart/x-mixed-replace|application/grpc.*")
# They are compressed already, or say so little that they mostly are.
_DENSE = re.compile(
    r"""
    (?:audio|video)/.*
    | image/(?!svg\+xml$|bmp$|x-ms-bmp$|x-icon$|vnd\.microsoft\.icon$|tiff$).*
    | font/woff2? | application/font-woff2?
    | .*\+(?:zip|gzip|zstd)
    | application/(?:
        octet-stream | pdf | gzip | x-gzip | zip | x-zip-compressed | zstd | x-zstd | x-brotli
        | x-bzip2? | x-xz | x-lzma | x-7z-compressed | x-rar-compressed | vnd\.rar
        | java-archive | vnd\.android\.package-archive | vnd\.apache\.parquet | x-parquet
        | vnd\.openxmlformats-officedocument\..* | vnd\.oasis\.opendocument\..*
      )
    """,
    re.VERBOSE,
)


def may_be_encoded(
    headers: Mapping[bytes, bytes], *, minimum_size: int, even_dense: bool = False
) -> bool:
    """Return whether a body with these headers may be sent in an encoding, and is worth it.

    The names are in lower case. A body whose length is not known is worth it; one that would
    hardly get smaller is not, unless `even_dense`.
    """
    # Most bodies are small, so this comes first.
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) < minimum_size:
        return False
    if not _OF_THESE_BYTES.isdisjoint(headers):
        return False
    never, dense = _judge(headers.get(b"content-type", b""))
    if never or (dense and not even_dense):
        return False
    return _NO_TRANSFORM.search(headers.get(b"cache-control", b"")) is None


def leave_uncompressed(connection: HTTPConnection) -> None:
    """Send the response to this request as it is, whatever its client takes.

    It is a dependency for routes whose responses hold a secret next to what an attacker can choose:
    the length of such a body in an encoding tells how much of the secret was guessed (BREACH).
    """
    connection.scope[_FLAG] = True


def may_have_coding(scope: Scope, status: int) -> bool:
    """Return whether a response with this status may be sent in an encoding at all."""
    return status >= _FIRST_FINAL_STATUS and status not in _STATUSES and _FLAG not in scope


@lru_cache(maxsize=256)
def _judge(content_type: bytes) -> tuple[bool, bool]:
    """Return whether a body of this type must stay as it is, and whether it is dense already."""
    media_type = content_type.decode("latin-1").partition(";")[0].strip().lower()
    return _NEVER.fullmatch(media_type) is not None, _DENSE.fullmatch(media_type) is not None
