"""A manifest as a backup has it."""

from datetime import UTC, datetime

from web.backup.manifest import Manifest


def manifest(**changes: object) -> Manifest:
    fields = {
        "cairn": "0.1.0",
        "made_at": datetime(2026, 1, 1, tzinfo=UTC),
        "database": "sqlite",
        "migrations": [],
        "generation": None,
        "documents": 1,
        "files": 1,
        "vectors": 0,
        "secret_key": False,
        "missing": [],
    }
    return Manifest.model_validate(fields | changes)
