"""The database cache fulfils Django's contract and stores only JSON."""

import base64
import contextlib
import json
import os
import pickle
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from cairn.cache.models import Entry
from cairn.cache.services import expired_delete


class MakesAFolder:
    """Unpickling an instance makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("value", [True, 7, 1.5, "a\0é\ud800", [1.5, 2.5], {"a": [None]}, None])
def test_cache_returns_the_last_value_until_deleted(db: None, value: object) -> None:
    cache.set("key", value)
    assert cache.get("key", "nothing") == value
    cache.set("key", "another")
    assert cache.get("key") == "another"
    assert cache.delete("key")
    assert not cache.delete("key")
    assert cache.get("key", "nothing") == "nothing"


def test_entries_expire(db: None) -> None:
    cache.set("short", 1, 0.05)
    cache.set("long", 2, 60)
    cache.set("forever", 3, None)
    time.sleep(0.1)
    assert cache.get_many(["short", "long", "forever"]) == {"long": 2, "forever": 3}
    assert not cache.touch("short", 60)
    assert cache.touch("long", 0.05)
    time.sleep(0.1)
    assert cache.get("long") is None
    assert expired_delete() == 2
    assert [entry.value for entry in Entry.objects.all()] == ["3"]
    cache.clear()
    assert not Entry.objects.exists()


def test_cache_key_is_added_once_until_it_expires(db: None) -> None:
    assert cache.add("key", 1, 60)
    assert not cache.add("key", 2, 60)
    assert cache.get("key") == 1
    Entry.objects.update(expires_at=datetime.now(UTC))
    assert cache.add("key", 3, 60)
    assert cache.get("key") == 3
    assert cache.incr("key") == 4


@pytest.mark.django_db(transaction=True)
def test_one_of_several_concurrent_additions_succeeds() -> None:
    def add(number: int) -> bool:
        try:
            return cache.add("code", number, 60)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(add, range(8))) == 1


def test_cache_rejects_values_that_json_cannot_represent(db: None, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        cache.set("key", MakesAFolder(tmp_path / "mark"))
    with pytest.raises(TypeError):
        cache.add("key", {1, 2})
    assert cache.get("key") is None


@pytest.mark.parametrize("encode", [base64.b64encode, json.dumps], ids=["as Django stores it", "as JSON"])
def test_pickle_in_the_table_is_not_loaded(db: None, tmp_path: Path, encode: Callable[[Any], Any]) -> None:
    pickled = pickle.dumps(MakesAFolder(tmp_path / "mark"))
    text = encode(pickled if encode is base64.b64encode else base64.b64encode(pickled).decode())
    Entry.objects.create(key=cache.make_key("key"), value=text if isinstance(text, str) else text.decode())
    with contextlib.suppress(ValueError):
        cache.get("key")
    assert not (tmp_path / "mark").exists()
    pickle.loads(pickled)
    assert (tmp_path / "mark").exists(), "the pickle does nothing, so this shows nothing"


@pytest.mark.django_db(transaction=True)
def test_upgrade_drops_the_table_with_pickles() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([("cache", None)])
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE cairn_cache (cache_key varchar(255), value text, expires timestamp)")
        cursor.execute("INSERT INTO cairn_cache VALUES ('a', 'gASVAA==', NULL)")
    executor = MigrationExecutor(connection)
    executor.migrate([("cache", "0001_initial")])
    assert "cairn_cache" not in connection.introspection.table_names()
    cache.set("key", 1)
    assert cache.get("key") == 1
