"""A file of a snapshot as an HTTP answer (RFC 9110: conditional and range requests).

What users stored is never trusted: whatever it is, the browser runs it in a sandbox without an origin, where it cannot
read the hub's cookies or call its API with them.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping
from urllib.parse import quote_from_bytes

from hub_server.domain.problems import Problem
from hub_server.services.archive_formats import ArchiveFormat
from hub_server.services.archives import Archive
from hub_server.services.history import File
from hub_server.web.operation import Reply

SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; frame-ancestors 'self'"
)

ARCHIVE_TYPES: dict[ArchiveFormat, str] = {"zip": "application/zip", "tar": "application/x-tar"}

_PLAIN_NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]*")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def file_reply(file: File, headers: Mapping[str, str], *, download: bool) -> Reply:
    """The file, or the one range that the request asks for; 304 when the client has it.

    Raises:
        Problem: range-not-satisfiable.
    """
    etag = f'"{file.hash.hex()}"'
    common = {
        "ETag": etag,
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": SANDBOX,
        "Accept-Ranges": "bytes",
    }
    if _matches(headers.get("If-None-Match"), etag):
        return Reply(status=304, headers=common)
    wanted = _wanted_range(headers, etag, file.size)
    start, stop = wanted or (0, file.size)
    described = common | {
        "Content-Type": _content_type(file.name),
        "Content-Disposition": _disposition(file.name, download=download),
        "Content-Length": str(stop - start),
    }
    if wanted is not None:
        described["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    return Reply(body=file.read(start, stop), status=206 if wanted else 200, headers=described)


def archive_reply(archive: Archive, form: ArchiveFormat) -> Reply:
    """An archive as a download; its length is not known before its end."""
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Security-Policy": SANDBOX,
        "Content-Type": ARCHIVE_TYPES[form],
        "Content-Disposition": _disposition(archive.name, download=True),
    }
    return Reply(body=archive.pieces, headers=headers)


def parse_range(value: str, size: int) -> tuple[int, int] | None:
    """The offsets from which and before which to read; None where the header is to be ignored (RFC 9110 §14.2).

    Lists of ranges are ignored, so they are answered with the whole file.

    Raises:
        Problem: range-not-satisfiable.
    """
    match = _RANGE.fullmatch(value.strip())
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= stop:
        raise Problem(
            "range-not-satisfiable",
            f"the file has {size} bytes, so {value!r} is not in it",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, stop


def _wanted_range(headers: Mapping[str, str], etag: str, size: int) -> tuple[int, int] | None:
    value = headers.get("Range")
    if value is None or headers.get("If-Range", etag) != etag:
        return None
    return parse_range(value, size)


def _matches(if_none_match: str | None, etag: str) -> bool:
    if if_none_match is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in tags or "*" in tags


def _content_type(name: bytes) -> str:
    guessed, encoding = mimetypes.guess_type(name.decode("utf-8", "replace"))
    if guessed is None or encoding is not None:
        return "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed


def _disposition(name: bytes, *, download: bool) -> str:
    kind = "attachment" if download else "inline"
    parts = [kind, f"filename*=UTF-8''{quote_from_bytes(name, safe='')}"]
    if _PLAIN_NAME.fullmatch(name):  # curl and others know no other form (RFC 6266, appendix D)
        parts.insert(1, f'filename="{name.decode()}"')
    return "; ".join(parts)
