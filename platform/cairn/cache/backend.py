"""A database cache that stores JSON.

Django's own `DatabaseCache` stores pickles: anyone who can write to its table, or to a backup of it,
could run code in every process that reads it.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.db import IntegrityError, transaction

from cairn.cache.models import Entry


class JsonDatabaseCache(BaseCache):
    """Cache in the database, shared by all processes, so it may count attempts and remember used codes.

    Values must be JSON; storing anything else raises TypeError. `expired_delete` keeps the table small.
    """

    def __init__(self, _location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return self.get_many([key], version).get(key, default)

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        names = {self.make_and_validate_key(key, version=version): key for key in keys}
        rows = Entry.objects.live().filter(key__in=names).values_list("key", "value")
        return {names[key]: json.loads(value) for key, value in rows}

    def set(
        self, key: str, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        entry = self._entry(key, value, timeout, version)
        Entry.objects.bulk_create(
            [entry], update_conflicts=True, unique_fields=["key"], update_fields=["value", "expires_at"]
        )

    def add(
        self, key: str, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Add a key. Of several processes that add it at the same time, one gets True."""
        entry = self._entry(key, value, timeout, version)
        Entry.objects.expired().filter(key=entry.key).delete()
        try:
            with transaction.atomic():
                entry.save(force_insert=True)
        except IntegrityError:
            return False
        return True

    def touch(self, key: str, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        name = self.make_and_validate_key(key, version=version)
        return bool(Entry.objects.live().filter(key=name).update(expires_at=self._expires_at(timeout)))

    def delete(self, key: str, version: int | None = None) -> bool:
        name = self.make_and_validate_key(key, version=version)
        return bool(Entry.objects.filter(key=name).delete()[0])

    def clear(self) -> None:
        Entry.objects.all().delete()

    def _entry(self, key: str, value: Any, timeout: float | None, version: int | None) -> Entry:
        name = self.make_and_validate_key(key, version=version)
        return Entry(key=name, value=json.dumps(value), expires_at=self._expires_at(timeout))

    def _expires_at(self, timeout: float | None) -> datetime | None:
        seconds = self.get_backend_timeout(timeout)
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
