"""Characters that no reader sees.

One definition for all that people, files and models write: they can carry words that only a machine reads,
turn the order of the letters on a page, or keep a word from being found.
"""

import re
from typing import Final

_NEVER_SEEN: Final = (
    r"\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f"
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    r"\ud800-\udfff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff"  # copies of ASCII, and the selectors that bytes are smuggled in
    r"\U000f0000-\U0010ffff"  # private use; that of the first plane holds bullets and icons that are seen
)
_JOINING: Final = (
    r"\u0600-\u08ff\ufb50-\ufdff\ufe70-\ufefc"  # Arabic, Persian, Syriac
    r"\u0900-\u0dff\u0e00-\u109f\u1780-\u18af"  # the scripts of India and Southeast Asia, Mongolian
    r"\U00011000-\U000115ff"
)
_EMOJI: Final = (
    r"\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u2460-\u27bf\u2900-\u297f\u2b00-\u2bff"
    r"\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_VARIED: Final = rf"{_EMOJI}#*0-9\u3400-\u9fff\U00020000-\U0003ffff"
_HIDDEN: Final = re.compile(
    rf"[{_NEVER_SEEN}]"
    rf"|[\u200c\u200d](?!(?<=[{_JOINING}][\u200c\u200d])[{_JOINING}])"
    rf"(?!(?<=[{_EMOJI}\ufe0f]\u200d)[{_EMOJI}])"
    rf"|[\ufe00-\ufe0f](?<![{_VARIED}][\ufe00-\ufe0f])"
    r"|[\u180b-\u180f](?<![\u1820-\u18af][\u180b-\u180f])"
)
_MAY_BE_HIDDEN: Final = re.compile(rf"[{_NEVER_SEEN}\u200c\u200d\ufe00-\ufe0f\u180b-\u180f]")


def visible(text: str) -> str:
    """Remove characters that a reader cannot see but a machine reads, and lone surrogates.

    Joiners stay where a script or an emoji needs them, and so does one variation selector after a character
    that has variants. Line ends and form feeds stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return _HIDDEN.sub("", text) if _MAY_BE_HIDDEN.search(text) else text
