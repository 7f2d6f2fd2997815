"""What one file may cost."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`seconds` bounds wall and CPU time alike; `max_characters` the text that may come out."""

    memory_mb: int = 2048
    seconds: int = 120
    max_pages: int = 3000
    max_characters: int = 20_000_000
