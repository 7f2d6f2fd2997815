"""Issues, comments and wiki pages of a GitLab, with visibility, roles and confidentiality."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.gitlab.options import GitLabOptions
from ingestion.sources.kinds.gitlab.source import connect
from ingestion.sources.kinds.webhooks import GITLAB_WEBHOOK
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="gitlab",
    label="GitLab",
    description=_(
        "Issues, comments and wiki pages of projects on gitlab.com or a GitLab of your own. Only people who "
        "can see them there find them here."
    ),
    options=GitLabOptions,
    connect=connect,
    has_access=True,
    has_people=True,
    docs="administer/sources/gitlab",
    webhook=GITLAB_WEBHOOK,
)
