"""An uploaded file, and the result of its submission.

`submit.document_submit` stores the file and creates the job.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from django.core.files.base import File
from django.utils.translation import gettext_noop

from cairn.errors import InvalidInput, PayloadTooLarge
from cairn.hidden_characters import visible
from cairn.library.models import Document, KnowledgeBase
from cairn.messages import CodedMessage
from cairn.settings import environment
from ingestion.models import Import, Job, Lane


@dataclass(frozen=True, slots=True)
class Submission:
    document: Document
    job: Job | None
    created_job: bool


@dataclass(frozen=True, slots=True)
class SeenVersion:
    """The latest version of the source when the upload arrived; None if there was none."""

    version: uuid.UUID | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """A file embedded in another, processed in the lane of its container.

    `check` raises, within the transaction, if the file may no longer be added.
    """

    parent: Document
    lane: Lane
    check: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file with its options; None for options that were not given.

    `if_match`: acceptable numbers of the latest version, `*` for any. `batch`: the import that the file
    belongs to. `arrived`: when the request began, in `time.monotonic` seconds; None for now. `always_new`:
    make a new version even of the same bytes. `item_key`: the key of an item of a source, which stays the
    same when the item is renamed; see `item_key`. `check` raises, within the transaction, if a new file, or a
    new version of this document, may not be added. `sha256` and `seen` are determined when it is submitted.
    """

    file: "File[bytes]"
    filename: str
    title: str | None = None
    source_uri: str | None = None
    metadata: Mapping[str, Any] | None = None
    readers: Sequence[str] | None = None
    if_match: frozenset[str] | None = None
    batch: Import | None = None
    part: EmbeddedFile | None = None
    arrived: float | None = None
    always_new: bool = False
    item_key: str | None = None
    check: Callable[[KnowledgeBase, Document | None], None] | None = None
    sha256: str = ""
    seen: SeenVersion = SeenVersion()

    @property
    def path(self) -> str:
        return self.source_uri or self.filename

    @property
    def source_key(self) -> str:
        return self.item_key or self.path

    def fingerprint(self, knowledge_base: KnowledgeBase) -> str:
        fields = [
            str(knowledge_base.id), self.filename, self.sha256, self.title, self.source_uri,
            self.metadata, self.readers,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


_ITEM_KEY: Final = re.compile(r"source:[0-9a-f-]{36}/")


def item_key(source: uuid.UUID, external_id: str) -> str:
    """Return the `source_key` of documents that come from an item of a source."""
    return f"source:{source}/{external_id}"


def require_free_key(upload: Upload) -> None:
    """Raise InvalidInput for an upload with the key of a source's item, whose readers the source decides."""
    if upload.item_key is None and _ITEM_KEY.match(upload.source_key):
        raise InvalidInput(gettext_noop("Only a source can add documents with this path."))


def require_upload_size(size: int) -> None:
    limit = environment().upload_max_mb
    if size > limit << 20:
        raise PayloadTooLarge(CodedMessage("file_too_large", size=size >> 20, limit=limit))


def clean_filename(name: str) -> str:
    """Return the last component without control characters, shortened to 255 with its extension."""
    last = PurePosixPath(name.replace("\\", "/")).name
    printable = "".join(c for c in visible(last) if c.isprintable()).strip()
    path = PurePosixPath(printable or "document")
    return path.name if len(path.name) <= 255 else path.stem[: 255 - len(path.suffix)] + path.suffix[:250]
