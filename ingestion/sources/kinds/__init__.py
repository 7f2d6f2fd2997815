"""Kinds of sources. Each is imported when it is first used: the libraries behind some are large."""

import logging
from functools import cache
from typing import Final

from django.utils.module_loading import import_string

from cairn.errors import InvalidInput
from ingestion.sources.protocol import SourceKind

log = logging.getLogger(__name__)

KINDS: Final[dict[str, str]] = {
    "confluence": "ingestion.sources.kinds.confluence.KIND",
    "dokuwiki": "ingestion.sources.kinds.dokuwiki.KIND",
    "git": "ingestion.sources.kinds.git.KIND",
    "github": "ingestion.sources.kinds.github.KIND",
    "gitlab": "ingestion.sources.kinds.gitlab.KIND",
    "google_drive": "ingestion.sources.kinds.google_drive.KIND",
    "imap": "ingestion.sources.kinds.imap.KIND",
    "jira": "ingestion.sources.kinds.jira.KIND",
    "llama_index": "ingestion.sources.kinds.llama_index.KIND",
    "mediawiki": "ingestion.sources.kinds.mediawiki.KIND",
    "redmine": "ingestion.sources.kinds.redmine.KIND",
    "s3": "ingestion.sources.kinds.s3.KIND",
    "sftp": "ingestion.sources.kinds.sftp.KIND",
    "sharepoint": "ingestion.sources.kinds.sharepoint.KIND",
    "slack": "ingestion.sources.kinds.slack.KIND",
    "smb": "ingestion.sources.kinds.smb.KIND",
    "webdav": "ingestion.sources.kinds.webdav.KIND",
    "website": "ingestion.sources.kinds.website.KIND",
}
"""Dotted path of the `SourceKind` by its name."""


@cache
def get_kind(name: str) -> SourceKind:
    """Return the kind with this name. Raises InvalidInput if there is none, or its packages are missing."""
    if name not in KINDS:
        raise InvalidInput(f"“{name}” is not a kind of source. Choose one of {', '.join(sorted(KINDS))}.")
    try:
        kind: SourceKind = import_string(KINDS[name])
    except ImportError as error:  # an optional extra
        raise InvalidInput(f"The packages for sources of the kind “{name}” aren’t installed.") from error
    return kind


def list_kinds() -> list[SourceKind]:
    """Return the kinds whose packages are installed."""
    found = []
    for name in sorted(KINDS):
        try:
            found.append(get_kind(name))
        except InvalidInput as error:
            log.info("%s", error.message)
    return found
