"""Page images of PDFs, rendered in a parser process and cached in the storage."""

from uuid import UUID

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from cairn.errors import NotFound
from cairn.library import storage
from cairn.library.models import Document, DocumentVersion
from ingestion.parse.parser_pool import limits, parser_pool

WIDTH = 1240
THUMBNAIL_WIDTH = 240
PDF = "application/pdf"


def _folder(version: UUID) -> str:
    return f"pages/{version}"


def picture_names(version: UUID) -> list[str]:
    try:
        _, files = default_storage.listdir(_folder(version))
    except FileNotFoundError:
        return []
    return [f"{_folder(version)}/{name}" for name in files]


def page_picture(version: DocumentVersion, number: int, *, width: int = WIDTH) -> bytes:
    """Return the page as PNG. Raises NotFound for missing pages, erased files and formats without pages."""
    if version.media_type != PDF or not version.pages or not 1 <= number <= version.pages:
        raise NotFound
    name = f"{_folder(version.id)}/{number}-{width}.png"
    if default_storage.exists(name):
        with default_storage.open(name) as stored:
            return bytes(stored.read())
    try:
        with storage.as_local_path(version.original) as path:
            picture = parser_pool().render_page(path, number, width=width, limits=limits())
    except FileNotFoundError as error:  # erased in the meantime
        raise NotFound from error
    saved = default_storage.save(name, ContentFile(picture))
    if not Document.objects.present().filter(versions=version.pk).exists():  # deleted while it was drawn
        default_storage.delete(saved)
        raise NotFound
    return picture
