"""What one file may cost."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`seconds` bounds wall and CPU time alike; `characters` is how much text may come out, in
    at most `pieces` lines and sentences; `part_bytes` is the size that a file inside the file may have.

    `ocr_languages` are Tesseract's names joined by "+"; empty stands for the usual ones that are there.
    """

    memory_mb: int = 2048
    seconds: int = 120
    pages: int = 3000
    characters: int = 20_000_000
    pieces: int = 1_000_000
    part_bytes: int = 200 << 20
    ocr_pages: int = 500
    ocr_languages: str = ""
