"""Links in documents: which targets are safe to offer, and where a link is in its text."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

import idna

MAX_URL_CHARACTERS: Final = 2_000
MAX_LINKS_PER_PASSAGE: Final = 20
_WEB: Final = ("http", "https")
_HOST: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_MAILBOX: Final = re.compile(r"[\w.!#$&'*+/=?^`{|}~-]{1,64}@([^@\s]{1,255})", re.ASCII)
_ESCAPED: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNESCAPED: Final = "!#$%&'()*+,/:;=?@[]~"
_MAX_TRIES: Final = 20
_SHOWN_ADDRESS: Final = re.compile(r"(?:https?://|(?=www\.))([^\s/?#:]+)", re.IGNORECASE)
_BARE_URL: Final = re.compile(r"(?<![\w/@.])https?://[^\s<>\"`{}|\\^\[\]]{1,2000}", re.IGNORECASE)
_AFTER_URL: Final = ".,;:!?'’”»*_"
_MAX_BARE_URLS: Final = 200
_REFUSED: Final = re.compile(r"[\\\x00-\x1f\x7f-\xa0]")


class Link(NamedTuple):
    """A link from `start` to `end` of a text. A named tuple, since JSON stores it as a list."""

    start: int
    end: int
    url: str


def links_from_json(data: Iterable[Sequence[Any]] | None) -> tuple[Link, ...]:
    return tuple(Link(int(start), int(end), str(url)) for start, end, url in data or ())


@lru_cache(maxsize=4096)
def safe_url(url: str) -> str | None:
    """Return the URL in ASCII if people may follow it, else None.

    Allowed are web addresses without a user name, and addresses to write an email to, without what follows
    them. A host with letters of other scripts is in its ASCII form, so that it cannot pass for another one.
    """
    url = url.strip()
    if not 0 < len(url) <= MAX_URL_CHARACTERS or _REFUSED.search(url):
        return None
    try:
        parts = urlsplit(url)
        found = _web_address(parts) if parts.scheme in _WEB else _mail_address(parts)
    except ValueError:
        return None
    return found if found and len(found) <= MAX_URL_CHARACTERS else None


def _web_address(parts: SplitResult) -> str | None:
    """Raises ValueError for a host or port that is not valid."""
    if "@" in parts.netloc or "%" in parts.netloc:
        return None
    host, port = _ascii_host(parts.hostname or ""), parts.port
    if host is None:
        return None
    place = host if port is None else f"{host}:{port}"
    rest = (_escape(parts.path), _escape(parts.query), _escape(parts.fragment))
    return urlunsplit((parts.scheme, place, *rest))


def _mail_address(parts: SplitResult) -> str | None:
    found = _MAILBOX.fullmatch(parts.path) if parts.scheme == "mailto" and not parts.netloc else None
    host = _ascii_host(found[1]) if found else None
    return f"mailto:{parts.path.rpartition('@')[0]}@{host}" if host else None


def _ascii_host(host: str) -> str | None:
    """Return the host as browsers look it up. Raises ValueError if it isn't valid."""
    if not host.isascii():
        host = idna.encode(host, uts46=True).decode()
    return host.lower() if _HOST.fullmatch(host.lower().removesuffix(".")) else None


def _escape(part: str) -> str:
    """Escape what a URL cannot contain, but nothing twice."""
    return quote(_ESCAPED.sub("%25", part), safe=_UNESCAPED)


def host_of(url: str) -> str:
    """Return what to display next to a safe link: its host and port, or the email address."""
    parts = urlsplit(url)
    return parts.netloc or parts.path


def pretends_another_host(text: str, url: str) -> bool:
    """Return whether the text of a safe link is an address on another host than the link's."""
    shown = _SHOWN_ADDRESS.match(text.strip())
    if shown is None:
        return False
    actual = urlsplit(url).hostname or ""
    return shown[1].lower().removeprefix("www.") != actual.removeprefix("www.")


def links_between(links: Iterable[Link], start: int, end: int) -> tuple[Link, ...]:
    """Return the links within a range, with positions relative to its start."""
    return tuple(
        Link(link.start - start, link.end - start, link.url)
        for link in links
        if start <= link.start and link.end <= end
    )


def bare_links(text: str, known: Sequence[Link] = ()) -> tuple[Link, ...]:
    """Return safe links for URLs written out in a text, where it has no links already. There is a limit."""
    found = []
    for match in islice(_BARE_URL.finditer(text), _MAX_BARE_URLS):
        shown = _without_punctuation(match[0])
        link = Link(match.start(), match.start() + len(shown), safe_url(shown) or "")
        if link.url and all(link.end <= other.start or other.end <= link.start for other in known):
            found.append(link)
    return tuple(found)


def _without_punctuation(url: str) -> str:
    """Return the URL without the end of the sentence or the parenthesis that it is in."""
    while url and (url[-1] in _AFTER_URL or (url[-1] == ")" and url.count(")") > url.count("("))):
        url = url[:-1]
    return url


def find_words(text: str, phrase: str, start: int) -> int:
    """Return where the text has the phrase as whole words; -1 if nowhere."""
    at = text.find(phrase, start)
    for _ in range(_MAX_TRIES):
        if at < 0 or not _splits_word(text, at, at + len(phrase)):
            return at
        at = text.find(phrase, at + 1)
    return -1


def _splits_word(text: str, start: int, end: int) -> bool:
    before, after = text[max(start - 1, 0) : start], text[end : end + 1]
    return (before.isalnum() and text[start].isalnum()) or (after.isalnum() and text[end - 1].isalnum())
