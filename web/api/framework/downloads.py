"""Responses with stored or generated files."""

from collections.abc import AsyncIterator, Iterator
from pathlib import PurePosixPath

from asgiref.sync import sync_to_async
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.text import slugify

from cairn.errors import NotFound
from cairn.library.models import DocumentVersion

BLOCK = 1 << 18


def attachment(version: DocumentVersion) -> StreamingHttpResponse:
    """Serve the original under a generated name, as the uploader's could be harmful."""
    try:
        file = default_storage.open(version.original)
    except FileNotFoundError as error:
        raise NotFound from error
    media_type = version.media_type or "application/octet-stream"
    response = StreamingHttpResponse(_blocks(file), content_type=media_type)
    response["Content-Length"] = str(version.size)
    response["Content-Disposition"] = content_disposition_header(True, _name(version)) or "attachment"
    response["Cache-Control"] = "private, no-store"
    return response


def _name(version: DocumentVersion) -> str:
    suffix = PurePosixPath(version.filename).suffix.lower()
    known = suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 10 else ""
    return (slugify(version.document.title)[:80] or "document") + known


async def _blocks(file: "File[bytes]") -> AsyncIterator[bytes]:
    with file:
        while block := await sync_to_async(file.read)(BLOCK):
            yield block


def stream_attachment(parts: Iterator[bytes], *, name: str, media_type: str) -> StreamingHttpResponse:
    """Stream an attachment while it is generated."""
    response = StreamingHttpResponse(_each(parts), content_type=media_type)
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["Cache-Control"] = "private, no-store"
    return response


def build_attachment(content: str | bytes, *, name: str, media_type: str) -> HttpResponse:
    """Serve an attachment that is complete in memory."""
    response = HttpResponse(content, content_type=media_type)
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["Cache-Control"] = "private, no-store"
    return response


async def _each(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    def following() -> bytes | None:
        return next(parts, None)

    while (part := await sync_to_async(following)()) is not None:
        yield part


def picture(request: HttpRequest, content: bytes, *, tag: str) -> HttpResponse:
    """Serve an image that browsers must revalidate, so that lost permissions take effect."""
    etag = f'"{tag}"'
    fresh = request.headers.get("If-None-Match") == etag
    response = HttpResponse(status=304) if fresh else HttpResponse(content, content_type="image/png")
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    return response
