"""Resource limits for parsing one file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for one file.

    `seconds` bounds both wall and CPU time; `characters` and `pieces` (lines and sentences) the extracted
    text; `part_bytes` the size of an embedded file. `ocr_languages` are Tesseract names joined by "+"; empty
    for the usual ones that are installed.
    """

    memory_mb: int = 2048
    seconds: int = 120
    pages: int = 3000
    characters: int = 20_000_000
    pieces: int = 1_000_000
    part_bytes: int = 200 << 20
    ocr_pages: int = 500
    ocr_languages: str = ""
