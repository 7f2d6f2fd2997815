"""Issues as documents in Markdown, the formatting of their descriptions."""

from collections.abc import Iterable
from typing import Final

from ingestion.sources.item_streams import Contribution, write_discussion
from ingestion.sources.kinds.gitlab.answers import Issue, Note

WIKI_ENDINGS: Final = {"markdown": ".md", "org": ".org"}
"""Endings of wiki pages by their formatting. Others are read as plain text."""


def write_issue(issue: Issue, notes: Iterable[Note]) -> str:
    """Return an issue as a document with its comments, without those that not all of its readers may see."""
    facts = {
        "State": issue.state,
        "Author": issue.author.name if issue.author else "",
        "Assignees": ", ".join(person.name for person in issue.assignees),
        "Labels": ", ".join(issue.labels),
        "Created": f"{issue.created_at:%Y-%m-%d}",
        "Closed": f"{issue.closed_at:%Y-%m-%d}" if issue.closed_at else "",
        "Due": f"{issue.due_date}" if issue.due_date else "",
    }
    comments = (
        Contribution(note.author.label if note.author else "?", note.created_at, note.body)
        for note in notes
        if note.is_for_all
    )
    kind = f"{issue.type.replace('_', ' ').capitalize()} #{issue.iid}"
    return write_discussion(issue.title, kind, facts, issue.description, comments)
