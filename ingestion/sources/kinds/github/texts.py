"""Issues and pull requests as documents in Markdown, the formatting of their descriptions."""

from collections.abc import Iterable

from ingestion.sources.item_streams import Contribution, write_discussion
from ingestion.sources.kinds.github.answers import Comment, Issue


def write_issue(issue: Issue, comments: Iterable[Comment]) -> str:
    """Return an issue or a pull request as a document with its comments, without minimized ones."""
    facts = {
        "State": issue.status,
        "Author": issue.user.label if issue.user else "",
        "Assignees": ", ".join(person.label for person in issue.assignees),
        "Labels": ", ".join(issue.labels),
        "Created": f"{issue.created_at:%Y-%m-%d}",
        "Closed": f"{issue.closed_at:%Y-%m-%d}" if issue.closed_at else "",
    }
    contributions = (
        Contribution(comment.user.label if comment.user else "?", comment.created_at, comment.body)
        for comment in comments
        if not comment.minimized
    )
    kind = f"{'Pull request' if issue.pull_request else 'Issue'} #{issue.number}"
    return write_discussion(issue.title, kind, facts, issue.body, contributions)
