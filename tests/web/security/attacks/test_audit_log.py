"""Every way to change the audit log, from the ORM down to SQL: refused, or found by verifying."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F, QuerySet

from cairn.audit.hash_chain import seal_all, verify
from cairn.audit.models import AppendOnly, Event, Head
from cairn.audit.services import record
from cairn.audit.tasks import seal
from tests.web.security.attacks.recorder import Attack

guards = import_module("cairn.audit.migrations.0002_chain")
rows: QuerySet[Event] = QuerySet(Event)
"""As somebody has them who does not go through the model's manager."""


@pytest.fixture
def sealed(db: None, settings: Any, tmp_path: Path) -> None:
    """Five events, and the guards of the table, which tests otherwise run without."""
    settings.DATA_DIR = tmp_path
    for number in range(1, 6):
        record("grant.given", actor=uuid4(), subject=f"kb:{number}", role="reader")
    seal()
    execute(*guards.AWAY[connection.vendor])
    execute(*getattr(guards, connection.vendor.upper()))


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def sql(statement: str) -> Callable[[], object]:
    return lambda: execute(statement)


def first() -> Event:
    return Event.objects.get(number=1)


def changed() -> Event:
    event = first()
    event.subject = "kb:9"
    return event


WAYS: dict[str, Callable[[], object]] = {
    "save": lambda: changed().save(),
    "save of one field": lambda: changed().save(update_fields=["subject"]),
    "save as new": lambda: changed().save(force_insert=True),
    "delete": lambda: first().delete(),
    "update": lambda: Event.objects.filter(number=1).update(subject="kb:9"),
    "update of all": lambda: Event.objects.update(number=F("number") + 100),
    "delete of all": lambda: Event.objects.all().delete(),
    "bulk update": lambda: Event.objects.bulk_update([changed()], ["subject"]),
    "bulk create over it": lambda: Event.objects.bulk_create(
        [changed()], update_conflicts=True, update_fields=["subject"], unique_fields=["id"]
    ),
    "update or create": lambda: Event.objects.update_or_create({"subject": "kb:9"}, number=1),
    "update without the manager": lambda: rows.filter(number=1).update(subject="kb:9"),
    "delete without the manager": lambda: rows.filter(number=1).delete(),
    "raw delete": lambda: rows.filter(number=5)._raw_delete("default"),
    "SQL: update": sql("UPDATE audit_event SET subject = 'kb:9' WHERE number = 1"),
    "SQL: another time": sql("UPDATE audit_event SET at = '2020-01-01 00:00:00+00:00' WHERE number = 2"),
    "SQL: another actor": sql("UPDATE audit_event SET actor = NULL WHERE number = 3"),
    "SQL: without a number": sql("UPDATE audit_event SET number = NULL WHERE number = 5"),
    "SQL: delete": sql("DELETE FROM audit_event WHERE number = 5"),
    "SQL: delete all": sql("DELETE FROM audit_event"),
    "SQL: triggers dropped, then changed": lambda: execute(
        *guards.AWAY[connection.vendor], "UPDATE audit_event SET subject = 'kb:9' WHERE number = 1"
    ),
    "SQL: triggers dropped, then cut": lambda: execute(
        *guards.AWAY[connection.vendor], "DELETE FROM audit_event WHERE number = 5"
    ),
    "SQL: cut, and the head set back": lambda: execute(
        *guards.AWAY[connection.vendor],
        "DELETE FROM audit_event WHERE number > 4",
        f"UPDATE {Head._meta.db_table} SET count = 4, hash = (SELECT hash FROM audit_event WHERE number = 4)",
    ),
}


def is_refused(way: Callable[[], object]) -> bool:
    try:
        with transaction.atomic():
            way()
    except (AppendOnly, DatabaseError):
        return True
    return False


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_tampered_audit_log_is_detected(attack: Attack, sealed: None, way: Callable[[], object]) -> None:
    record("sign_in", actor=uuid4())
    attack.allowed(seal_all() == 1 and verify().problem == "", "a new event is taken")
    attack.refused(is_refused(way) or bool(verify().problem) or verify().count < 6)
