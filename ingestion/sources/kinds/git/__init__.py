"""Files in a branch of a Git repository."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.git.options import GitOptions
from ingestion.sources.kinds.git.source import connect
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="git",
    label=_("Git repository"),
    description=_(
        "Files in a branch of a repository, such as on GitLab, Gitea or GitHub. Git has no permissions "
        "that Cairn could take over, so you choose the readers."
    ),
    options=GitOptions,
    connect=connect,
    docs="administer/sources/git",
)
