"""Issues as documents in Markdown, the formatting of their descriptions."""

from collections.abc import Iterable, Iterator
from typing import Final

from ingestion.sources.kinds.gitlab.answers import Issue, Note

WIKI_ENDINGS: Final = {"markdown": ".md", "org": ".org"}
"""Endings of wiki pages by their formatting. Others are read as plain text."""


def write_issue(issue: Issue, notes: Iterable[Note]) -> str:
    """Return an issue as a document with its comments, without those that not all of its readers may see."""
    return "\n\n".join(filter(None, _list_parts(issue, notes))) + "\n"


def _list_parts(issue: Issue, notes: Iterable[Note]) -> Iterator[str]:
    yield f"# {_join_lines(issue.title)}"
    facts = {
        "State": issue.state,
        "Author": issue.author.name if issue.author else "",
        "Assignees": ", ".join(person.name for person in issue.assignees),
        "Labels": ", ".join(issue.labels),
        "Created": f"{issue.created_at:%Y-%m-%d}",
        "Closed": f"{issue.closed_at:%Y-%m-%d}" if issue.closed_at else "",
        "Due": f"{issue.due_date}" if issue.due_date else "",
    }
    named = [f"{label}: {value}" for label, value in facts.items() if value]
    yield _join_lines(", ".join([f"{issue.type.replace('_', ' ').capitalize()} #{issue.iid}", *named]))
    yield _clean(issue.description)
    for note in notes:
        text = _clean(note.body)
        if text and note.is_for_all:
            author = note.author.label if note.author else "?"
            yield f"## {_join_lines(author)}, {note.created_at:%Y-%m-%d}"
            yield text


def _join_lines(text: str) -> str:
    return " ".join(text.split())


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").strip()
