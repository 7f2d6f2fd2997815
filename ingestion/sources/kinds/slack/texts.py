"""Messages as documents in HTML."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape, unescape
from typing import Final

from ingestion.sources.kinds.slack.answers import Message

_PAGE: Final = """\
<!doctype html>
<html><head><meta charset="utf-8"></head>
<body>
<h1>{heading}</h1>
{body}
</body></html>
"""
_CODE: Final = re.compile(r"```(.+?)```", re.DOTALL)
_REFERENCE: Final = re.compile(r"<([^<>]*)>")
_TAG: Final = re.compile(r"<[^>]*>")
_LINKS: Final = ("https://", "http://", "mailto:")
_SUMMARY_LENGTH: Final = 80


@dataclass(frozen=True, slots=True)
class Names:
    """Names of people and channels by id. Those of private channels are "", since not every reader of a
    message sees such a channel."""

    people: Mapping[str, str]
    channels: Mapping[str, str]

    def find_author(self, message: Message) -> str:
        known = self.people.get(message.user, "") or message.user_profile.name
        return known or message.username or message.bot_profile.name or message.user or message.bot_id or "?"


def write_messages(heading: str, messages: Iterable[Message], names: Names) -> str:
    """Return messages as a document, oldest first, each with its author and time."""
    ordered = sorted(messages, key=lambda message: float(message.ts))
    parts = (part for message in ordered for part in _list_parts(message, names))
    return _PAGE.format(heading=escape(heading), body="\n".join(parts))


def summarize(message: Message, names: Names) -> str:
    """Return the beginning of a message as plain text in one line."""
    text = unescape(_TAG.sub(" ", _write_line(message.body[:1000], names)))
    return " ".join(text.split())[:_SUMMARY_LENGTH]


def _list_parts(message: Message, names: Names) -> Iterator[str]:
    texts = [message.body, *_list_attached(message)]
    files = [file.title or file.name for file in message.files]
    body = [part for text in texts for part in _write_text(text, names)]
    body += [f"<p>{escape(f'File: {name}')}</p>" for name in files if name]
    if body:
        author = escape(names.find_author(message))
        yield f"<p><b>{author}</b>, {message.moment:%Y-%m-%d %H:%M} UTC</p>"
        yield from body


def _list_attached(message: Message) -> Iterator[str]:
    """Yield the texts that bots attach to a message. Previews of what a message links to are left out: they
    may come from a channel that not every reader sees."""
    for attachment in message.attachments if message.bot_id else ():
        if not attachment.from_url and not attachment.is_msg_unfurl:
            texts = (attachment.pretext, attachment.title, attachment.text)
            yield "\n".join(filter(None, texts)) or attachment.fallback


def _write_text(text: str, names: Names) -> Iterator[str]:
    """Yield the paragraphs and blocks of code of a text."""
    for number, part in enumerate(_CODE.split(text)):
        if part.strip():
            line = _write_line(part.strip("\n"), names)
            yield f"<pre>{line}</pre>" if number % 2 else f"<p>{line.replace(chr(10), '<br>')}</p>"


def _write_line(text: str, names: Names) -> str:
    return "".join(
        _write_reference(part, names) if number % 2 else escape(_unescape(part))
        for number, part in enumerate(_REFERENCE.split(text))
    )


def _write_reference(reference: str, names: Names) -> str:
    """Return a link, or the name of somebody or something that a message mentions."""
    target, _bar, label = (_unescape(part) for part in reference.partition("|"))
    mark, identity = target[:1], target[1:]
    if mark == "@":
        return escape(f"@{names.people.get(identity) or label or identity}")
    if mark == "#":
        return escape(f"#{names.channels.get(identity, label) or 'channel'}")
    if mark == "!":
        return escape(label or f"@{identity.partition('^')[0]}")
    if target.lower().startswith(_LINKS):
        return f'<a href="{escape(target)}">{escape(label or target)}</a>'
    return escape(label or target)


def _unescape(text: str) -> str:
    """Replace the three characters that Slack escapes."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
