"""The files inside a file: a mail's attachments, an archive's members."""

from pathlib import Path

from ingestion.parse import reject
from ingestion.parse.limits import Limits


def names(path: Path, media_type: str, limits: Limits) -> list[str]:  # noqa: ARG001
    """In the order in which `read` counts them."""
    return []


def read(path: Path, filename: str, part: int, limits: Limits) -> bytes:  # noqa: ARG001
    raise reject.damaged("file")
