"""Issues, wiki pages and files of a Redmine, with the roles of its projects."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.redmine.options import RedmineOptions
from ingestion.sources.kinds.redmine.source import connect
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="redmine",
    label="Redmine",
    description=_(
        "Issues, wiki pages and files of a Redmine. Only people who can see them there find them here."
    ),
    options=RedmineOptions,
    connect=connect,
    has_access=True,
    has_people=True,
    docs="administer/sources/redmine",
)
