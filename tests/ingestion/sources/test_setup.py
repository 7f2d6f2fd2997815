"""Setting up, changing, testing, pausing and deleting sources."""

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pytest

from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.accounts.services import user_create
from cairn.audit.models import Event
from cairn.errors import Conflict, InvalidInput
from cairn.library.models import KnowledgeBase
from ingestion.models import Source, SourceSchedule, SourceTask
from ingestion.sources.check import options_check, source_check
from ingestion.sources.check_steps import read_items
from ingestion.sources.lease import claim_schedule
from ingestion.sources.options import load_options, stored_secrets
from ingestion.sources.protocol import Item, SourceRefused
from ingestion.sources.selectors import schedules_of, source_for, sources_for
from ingestion.sources.services import (
    source_create,
    source_delete,
    source_pause,
    source_request,
    source_resume,
    source_update,
)
from tests.ingestion.sources.conftest import OPTIONS
from tests.ingestion.sources.fake_source import KIND, FakeConnection, FakeOptions, FakeServer

pytestmark = pytest.mark.django_db


def password_of(source: Source) -> str:
    options = load_options(source)
    assert isinstance(options, FakeOptions)
    return options.password.get_secret_value()


def test_secrets_are_stored_encrypted_and_apart_from_options(source: Source) -> None:
    row = Source.objects.get()
    assert row.options == {"host": "files", "folder": ""}
    assert "secret" not in row.secrets
    assert stored_secrets(row) == ["password"]
    assert password_of(row) == "secret"
    created = Event.objects.get(action="source.created")
    assert "secret" not in str(created.detail)


def test_missing_secrets_stay_unless_the_server_changes(source: Source, admin: Principal) -> None:
    source_update(source=source, principal=admin, options={"host": "files", "folder": "a", "password": ""})
    assert password_of(Source.objects.get()) == "secret"
    with pytest.raises(InvalidInput, match="Password"):
        source_update(source=source, principal=admin, options={"host": "elsewhere"})
    source_update(source=source, principal=admin, options={"host": "elsewhere", "password": "other"})
    assert password_of(Source.objects.get()) == "other"


def test_secrets_under_another_key_are_requested_again(
    source: Source, admin: Principal, settings: Any
) -> None:
    settings.SECRET_KEY = "x" * 50
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(SourceRefused, match="SECRET_KEY"):
        load_options(source)
    assert stored_secrets(source) == []
    assert "SECRET_KEY" in source_check(source)[-1].problem


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"options": {"host": ""}}, "Server"),
        ({"options": {**OPTIONS, "color": "red"}}, "color"),
        ({"readers": "some"}, "some"),
        ({"name": " "}, "name"),
        ({"kind": "none"}, "none"),
        ({"every_seconds": {SourceTask.CONTENT: 5}}, "60"),
    ],
)
def test_invalid_source_is_rejected(
    base: KnowledgeBase, admin: Principal, server: FakeServer, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem):
        source_create(
            **{"knowledge_base": base, "kind": KIND, "name": "F", "options": OPTIONS, **changes},
            principal=admin,
        )
    assert not Source.objects.exists()


def test_two_sources_of_a_base_have_different_names(source: Source, admin: Principal) -> None:
    base = source.knowledge_base
    with pytest.raises(Conflict):
        source_create(knowledge_base=base, kind=KIND, name="Files", options=OPTIONS, principal=admin)
    source_delete(source=source, principal=admin, delete_documents=False)
    source_create(knowledge_base=base, kind=KIND, name="Files", options=OPTIONS, principal=admin)


def test_permissions_are_synced_only_if_readers_come_from_the_source(
    source: Source, admin: Principal
) -> None:
    assert [state.task for state in schedules_of(source)] == ["content", "access", "people"]
    every = {SourceTask.CONTENT: 120}
    source = source_update(source=source, principal=admin, readers="managers", every_seconds=every)
    assert [(state.task, state.every_seconds) for state in schedules_of(source)] == [("content", 120)]


def test_task_can_be_requested_unless_it_runs(source: Source, admin: Principal) -> None:
    source_request(source=source, task=SourceTask.CONTENT, principal=admin)
    assert [state.requested for state in schedules_of(source)] == [True, False, False]
    lease = claim_schedule(SourceSchedule.objects.get(task="content").pk)
    assert lease is not None
    assert [state.running for state in schedules_of(source)] == [True, False, False]
    with pytest.raises(Conflict):
        source_request(source=source, task=SourceTask.CONTENT, principal=admin)


def test_paused_source_runs_no_tasks(source: Source, admin: Principal) -> None:
    schedule = SourceSchedule.objects.get(task="content")
    source_pause(source=source, principal=admin)
    assert claim_schedule(schedule.pk) is None
    source_resume(source=source, principal=admin)
    assert claim_schedule(schedule.pk) is not None


def test_managers_see_sources_of_their_bases_until_deletion(source: Source, admin: Principal) -> None:
    stranger = principal_for_user(user_create(username="stranger"))
    assert source_for(admin, source.id) == source
    assert not sources_for(stranger).exists()
    source_delete(source=source, principal=admin, delete_documents=True)
    assert not sources_for(admin).exists()


def test_check_reports_each_step(server: FakeServer, source: Source) -> None:
    assert [step.problem for step in source_check(source)] == ["", ""]
    steps = options_check(kind=KIND, options={**OPTIONS, "password": "wrong"})
    assert [step.problem for step in steps] == ["Wrong password."]
    assert options_check(kind=KIND, options={"host": "files"}, before=source)[-1].problem == ""


def test_hanging_check_times_out(server: FakeServer, source: Source) -> None:
    end = threading.Event()
    server.checking = lambda: end.wait(20) and None
    began = time.monotonic()
    steps = source_check(source, seconds=0.3)
    assert time.monotonic() - began < 5
    assert (steps[0].name, "No answer" in steps[-1].problem) == ("Sign in", True)
    end.set()


def test_crashing_check_is_reported(server: FakeServer, source: Source) -> None:
    server.checking = lambda: 1 // 0 and None
    assert "server log" in source_check(source)[-1].problem


def test_connection_test_reads_only_the_beginning_of_a_file(server: FakeServer) -> None:
    read = list[int]()

    class Large(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            read.append(-1 if size is None else size)
            return super().read(size)

    class Files(FakeConnection):
        @contextmanager
        def open(self, item: Item) -> Iterator[BinaryIO]:
            yield Large(server.files[item.id].content)

    read_items(Files(server), [server.put("a.md")])
    assert read == [1]
