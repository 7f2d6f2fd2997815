"""Issues as documents in HTML."""

from collections.abc import Iterator, Sequence
from html import escape
from html.parser import HTMLParser
from typing import Final

from ingestion.sources.kinds.jira.answers import Comment, Issue

_PAGE: Final = """\
<!doctype html>
<html><head><meta charset="utf-8"><base href="{base}"></head>
<body>
{body}
</body></html>
"""
_LEFT_OUT: Final = frozenset(("script", "style"))
_LINE: Final = frozenset(("br", "hr"))
_EMPTY: Final = frozenset(("img", "input", "link", "meta", "base"))


def write_issue(issue: Issue, comments: Sequence[Comment], base: str) -> str:
    """Return an issue as a document with its comments, without those that not all of its readers may see.

    Neither its key nor its project are in it, so that an issue that only moves isn't processed again.
    """
    return _PAGE.format(base=escape(base), body="\n".join(_list_parts(issue, comments)))


def is_for_all(comment: Comment) -> bool:
    """Return whether everyone who sees the issue sees the comment."""
    return not comment.visibility and comment.public


def _list_parts(issue: Issue, comments: Sequence[Comment]) -> Iterator[str]:
    fields = issue.fields
    yield f"<h1>{escape(fields.summary)}</h1>"
    facts = {
        "Type": fields.type.name if fields.type else "",
        "Status": fields.status.name if fields.status else "",
        "Reporter": fields.reporter.name if fields.reporter else "",
        "Assignee": fields.assignee.name if fields.assignee else "",
        "Labels": " ".join(fields.labels),
    }
    line = ", ".join(f"{label}: {value}" for label, value in facts.items() if value)
    yield f"<p>{escape(line)}</p>"
    yield _clean((issue.rendered.description if issue.rendered else "") or "")
    for comment in filter(is_for_all, comments):
        author = comment.author.name if comment.author else "?"
        day = f", {comment.created:%Y-%m-%d}" if comment.created else ""
        yield f"<h2>{escape(author)}{day}</h2>"
        yield _clean(comment.rendered or "")


def _clean(html: str) -> str:
    """Return HTML without attributes other than addresses of links: Jira writes summaries and states of other
    issues into them, which not every reader may see."""
    cleaner = _Cleaner()
    cleaner.feed(html)
    cleaner.close()
    return "".join(cleaner.parts)


class _Cleaner(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in _LEFT_OUT
        if self._hidden or tag in _EMPTY:
            return
        address = dict(attrs).get("href") if tag == "a" else None
        link = f' href="{escape(address)}"' if address else ""
        self.parts.append(f"<{tag}{link}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in _LEFT_OUT:
            self._hidden = max(self._hidden - 1, 0)
        elif not self._hidden and tag not in _EMPTY | _LINE:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(escape(data))
