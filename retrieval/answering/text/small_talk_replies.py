"""Replies to small talk, in the languages of refusals."""

from collections.abc import Sequence
from typing import Final

from retrieval.answering.text.markdown_filter import escape_brackets, sanitize_markdown
from retrieval.answering.text.refusals import ReplyLanguage
from retrieval.answering.text.small_talk import WORDS, SmallTalk, TalkKind

_MAX_NAMES: Final = 8
_NAMED: Final = frozenset({TalkKind.IDENTITY, TalkKind.HELP})
"""Replies that list the knowledge bases."""
_REPLIES: Final[dict[str, dict[ReplyLanguage, str]]] = WORDS["replies"]
_BASES: Final[dict[ReplyLanguage, str]] = WORDS["knowledge_bases"]
_MORE: Final[dict[ReplyLanguage, str]] = WORDS["more"]
_NO_BASES: Final[dict[ReplyLanguage, str]] = WORDS["no_knowledge_bases"]


def lists_knowledge_bases(kind: TalkKind) -> bool:
    return kind in _NAMED


def render_reply(talk: SmallTalk) -> str:
    return _REPLIES[talk.kind][talk.language]


def render_knowledge_bases(names: Sequence[str], language: ReplyLanguage) -> str:
    """Render the sentence on which knowledge bases can be asked, as Markdown."""
    if not names:
        return _NO_BASES[language]
    shown = [escape_brackets(sanitize_markdown(name)) for name in names[:_MAX_NAMES]]
    more = [_MORE[language].format(count=len(names) - _MAX_NAMES)] if len(names) > _MAX_NAMES else []
    return _BASES[language].format(names=", ".join([*shown, *more]))
