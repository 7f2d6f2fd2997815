"""Kinds of sources. Each is imported when it is first used: the libraries behind some are large."""

from functools import cache
from typing import Final

from django.utils.module_loading import import_string

from cairn.errors import InvalidInput
from ingestion.sources.protocol import SourceKind

KINDS: Final[dict[str, str]] = {
    "dokuwiki": "ingestion.sources.kinds.dokuwiki.KIND",
    "git": "ingestion.sources.kinds.git.KIND",
    "imap": "ingestion.sources.kinds.imap.KIND",
    "llama_index": "ingestion.sources.kinds.llama_index.KIND",
    "redmine": "ingestion.sources.kinds.redmine.KIND",
    "s3": "ingestion.sources.kinds.s3.KIND",
    "smb": "ingestion.sources.kinds.smb.KIND",
    "webdav": "ingestion.sources.kinds.webdav.KIND",
}
"""Dotted path of the `SourceKind` by its name."""


@cache
def get_kind(name: str) -> SourceKind:
    """Return the kind with this name. Raises InvalidInput if there is none."""
    if name not in KINDS:
        raise InvalidInput(f"“{name}” is not a kind of source. Choose one of {', '.join(sorted(KINDS))}.")
    kind: SourceKind = import_string(KINDS[name])
    return kind
