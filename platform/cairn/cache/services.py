"""Housekeeping of the cache table."""

from cairn.cache.models import Entry


def expired_delete() -> int:
    """Deletes the entries whose time is over, and returns how many there were."""
    return Entry.objects.expired().delete()[0]
