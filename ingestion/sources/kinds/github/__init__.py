"""Issues, pull requests and comments of repositories on GitHub, for those who can see the repositories."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.github.options import GitHubOptions
from ingestion.sources.kinds.github.source import connect
from ingestion.sources.kinds.webhooks import GITHUB_WEBHOOK
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="github",
    label="GitHub",
    description=_(
        "Issues, pull requests and comments of repositories on github.com or a GitHub of your own. Only "
        "people who can see the repositories there find them here."
    ),
    options=GitHubOptions,
    connect=connect,
    has_access=True,
    has_people=True,
    docs="administer/sources/github",
    webhook=GITHUB_WEBHOOK,
)
