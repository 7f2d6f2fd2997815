"""Issues as texts, in the formatting of their descriptions."""

from collections.abc import Iterator
from typing import Final

from ingestion.sources.kinds.redmine.api import Issue

ENDINGS: Final = {"markdown": ".md", "textile": ".textile"}
_HEADINGS: Final = {"markdown": "{marks} {text}", "textile": "h{level}. {text}"}


def write_issue(issue: Issue, formatting: str) -> str:
    """Return an issue as a text with its description and its notes, without private ones."""
    return "\n\n".join(filter(None, _list_parts(issue, formatting))) + "\n"


def _list_parts(issue: Issue, formatting: str) -> Iterator[str]:
    yield _write_heading(1, f"{issue.subject} (#{issue.id})", formatting)
    people = (("Author", issue.author), ("Assignee", issue.assigned_to))
    named = [f"{label}: {who.name}" for label, who in people if who]
    yield ", ".join([f"{issue.tracker.name} #{issue.id}", f"Status: {issue.status.name}", *named])
    yield (issue.description or "").replace("\r\n", "\n").strip()
    for note in issue.journals:
        text = (note.notes or "").replace("\r\n", "\n").strip()
        if text and not note.private_notes:
            yield _write_heading(2, note.user.name if note.user else "?", formatting)
            yield text


def _write_heading(level: int, text: str, formatting: str) -> str:
    one_line = " ".join(text.split())
    return _HEADINGS[formatting].format(marks="#" * level, level=level, text=one_line)
