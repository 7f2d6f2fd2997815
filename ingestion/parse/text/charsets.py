"""Decoding of bytes with a declared encoding, which may be wrong."""

from typing import Final

from ingestion.parse.text import cleaning

_WIDER: Final = {
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso-8859-8": "cp1255",
    "iso-8859-8-i": "cp1255",
    "iso-8859-8-e": "cp1255",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "big5": "big5hkscs",
    "unicode-1-1-utf-7": "utf-7",
}
"""Senders name the old set and use the newer one that contains it."""
_UNREADABLE_SHARE: Final = 0.01


def decode(data: bytes, charset: str | None) -> str:
    """Decode and clean bytes. The encoding is guessed if it is not declared or does not fit."""
    declared = (charset or "").strip().lower()
    for name in dict.fromkeys((_WIDER.get(declared, declared), declared)):
        found = _replacing(data, name)
        if found is not None and found.count("\ufffd") <= 1 + len(found) * _UNREADABLE_SHARE:
            return cleaning.clean(found)
    return cleaning.decode(data)


def _replacing(data: bytes, charset: str) -> str | None:
    """Decode with replacement characters. Returns None for unknown and non-text encodings."""
    if not charset or charset in ("us-ascii", "ascii"):
        return None  # real ASCII is detected correctly
    try:
        return data.decode(charset, errors="replace")
    except (LookupError, ValueError):
        return None
