"""Decoding of bytes, and cleaning of text for the database and the index."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from charset_normalizer import from_bytes

from cairn.hidden_characters import visible
from cairn.inference import language_identification

_MARK: Final = "\ufeff"  # at the beginning it declares the encoding

_BOMS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_SAMPLE: Final = 65_536
_BINARY_BYTES: Final = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b"))
_FOREIGN_SHARE: Final = 0.4  # of bytes over 127: letters of no Latin alphabet
_LATIN: Final = ("cp1252", "cp1250", "iso8859_2", "cp1254", "cp1257")
_LOOSE: Final = ("iso-8859-1", "latin1", "latin-1", "ascii", "us-ascii")  # says whoever does not know
_LATIN_SAMPLE: Final = 5_000
_SURER: Final = 0.02
_SIGN_IN_WORD: Final = re.compile(r"[^\W\d_][\xa1-\xb9\xbb-\xbf\xd7\xf7][^\W\d_]")
_HEBREW: Final = frozenset(range(0xE0, 0xFB))
_FEWEST_HEBREW: Final = 16


_HARD_SPACE: Final = "\xa0"
_LINE_ENDS: Final = {ord("\x85"): "\n", 0x2028: "\n", 0x2029: "\n"}
_CONTROLS: Final = dict.fromkeys(
    code for code in (*range(32), *range(0x7F, 0xA0)) if chr(code) not in "\t\n\f\x85"
)
_CLEANED: Final[dict[int, str | None]] = {**_CONTROLS, **_LINE_ENDS}
_UNCLEAN: Final = re.compile(f"[{''.join(map(chr, _CLEANED))}]")
_taken_out: ContextVar[list[int] | None] = ContextVar("hidden characters taken out", default=None)


def clean(text: str) -> str:
    r"""Remove NULs, surrogates, control and hidden characters, and normalise line ends to `\n`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace(_HARD_SPACE, " ")
    if _UNCLEAN.search(text):  # few need it, and it is slow
        text = text.translate(_CLEANED)
    shown = text if text.isascii() else visible(text)
    if (counts := _taken_out.get()) is not None and len(shown) < len(text):
        counts.append(len(text) - len(shown) - text.startswith(_MARK))
    return shown


@contextmanager
def counting_hidden() -> Iterator[Callable[[], int]]:
    """Count hidden characters that `clean` removes within the context, except control characters."""
    counts: list[int] = []
    token = _taken_out.set(counts)
    try:
        yield lambda: sum(counts)
    finally:
        _taken_out.reset(token)


def decode(data: bytes, *, declared: str = "") -> str:
    """Decode and clean a file of unknown encoding. Never fails: undecodable bytes are replaced.

    `declared` is the encoding claimed by the file, which is used unless it contradicts the content.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark) and (text := _strictly(data, encoding)) is not None:
            return clean(text)
    return clean(data.decode(_guess(data, declared), errors="replace"))


def looks_binary(data: bytes) -> bool:
    """Return whether no text encoding explains `data`, the beginning of a file."""
    if any(data.startswith(mark) for mark, _ in _BOMS) or _wide(data):
        return False
    controls = len(data) - len(data.translate(None, _BINARY_BYTES))
    return controls > len(data) * 0.02


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (LookupError, ValueError):
        return None


def _guess(data: bytes, declared: str) -> str:
    if encoding := _wide(data):
        return encoding
    if _strictly(data, "utf-8") is not None:
        return "utf-8"
    if declared and declared.lower() not in _LOOSE and _strictly(data, declared) is not None:
        return declared
    sample = data[:_SAMPLE]
    high = [byte for byte in sample if byte > 127]
    if len(high) <= len(sample) * _FOREIGN_SHARE:
        return _latin(sample[:_LATIN_SAMPLE], high)
    if len(high) >= _FEWEST_HEBREW and _HEBREW.issuperset(high):
        return "cp1255"  # one alphabet without capitals; in Cyrillic or Greek these are lower case
    best = from_bytes(sample).best()
    return best.encoding if best else "cp1252"


def _latin(sample: bytes, high: list[int]) -> str:
    """Return the encoding that gives words of a language, without signs inside words."""
    if not high:
        return "cp1252"
    best, best_signs, best_confidence = "cp1252", len(sample), 0.0
    for encoding in _LATIN:
        text = sample.decode(encoding, errors="replace")
        signs = len(_SIGN_IN_WORD.findall(text)) + text.count("\ufffd")
        confidence = language_identification.identify(text)[1]
        if signs < best_signs or (signs == best_signs and confidence > best_confidence + _SURER):
            best, best_signs, best_confidence = encoding, signs, confidence
    return best


def _wide(data: bytes) -> str | None:
    """Detect UTF-16 without a mark: every other byte of mostly Latin text is NUL."""
    sample = data[: _SAMPLE // 16]
    even, odd = sample[::2], sample[1::2]
    if not odd:
        return None
    if odd.count(0) > 0.7 * len(odd) and even.count(0) < 0.05 * len(even):
        return "utf-16-le"
    if even.count(0) > 0.7 * len(even) and odd.count(0) < 0.05 * len(odd):
        return "utf-16-be"
    return None
