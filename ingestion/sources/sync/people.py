"""Sync the people and groups of a source."""

from cairn.access.source_services import replace_source_people
from ingestion.sources.sync.context import RunContext


def sync_people(context: RunContext) -> str:
    """Replace all people and groups, only after the source has listed them completely."""
    found = list(context.renewing(context.connection.list_people()))
    source = context.source
    counts = replace_source_people(
        source.id, found, directory=source.directory, match_email=source.match_email
    )
    context.counts.update(people=counts.people, groups=counts.groups, linked=counts.linked)
    return ""
