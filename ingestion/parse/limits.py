"""What one file may cost."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`seconds` bounds wall and CPU time alike; `characters` is how much text may come out."""

    memory_mb: int = 2048
    seconds: int = 120
    pages: int = 3000
    characters: int = 20_000_000
