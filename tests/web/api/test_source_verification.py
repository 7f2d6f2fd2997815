"""Verification of a source's permissions: what Cairn enforces is compared with what the source says now."""

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.services import grant_give
from cairn.access.source_access import EVERYONE, AccessEntry, SourceAccess, SourceGroup, SourcePerson
from cairn.accounts.models import User
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from ingestion import broker
from ingestion.models import Source, SourceItem, SourceSchedule, SourceVerification
from ingestion.sources import kinds
from ingestion.sources.protocol import Item, SourceUnavailable
from retrieval.engine import Engine
from tests.ingestion.sources.fake_source import KIND, PATH, SERVERS, FakeServer
from tests.principals import SETUP
from tests.web.api.conftest import Caller, assert_problem, caller_for, indexed
from tests.web.api.source_syncs import find_readable, sync_source
from web.sources import canaries, fresh_access, verification
from web.tasks import verify_source

pytestmark = pytest.mark.django_db(transaction=True)
OPTIONS = {"host": "files", "password": "secret"}
PAY = "Salaries are paid on the 25th of the month."


def only(*names: str) -> SourceAccess:
    return SourceAccess((tuple(AccessEntry(name) for name in names),))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.setattr(broker, "send", lambda *_: None)
    monkeypatch.setitem(kinds.KINDS, KIND, PATH)
    kinds.get_kind.cache_clear()
    found = SERVERS["files"] = FakeServer()
    found.people = [SourcePerson(name, name, email=f"{name}@example.org") for name in ("ann", "bob")]
    yield found
    SERVERS.clear()
    kinds.get_kind.cache_clear()


@pytest.fixture
def people(base: KnowledgeBase) -> dict[str, Caller]:
    """Accounts of the two people of the source, and of a stranger. All may use the knowledge base."""
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    found = {name: caller_for(name) for name in ("ann", "bob", "stranger")}
    for name, caller in found.items():
        User.objects.filter(pk=caller.user.pk).update(email=f"{name}@example.org")
    return found


@pytest.fixture
def source(admin: Caller, base: KnowledgeBase, server: FakeServer, people: dict[str, Caller]) -> Source:
    """A source with a document that Ann may read, and no other."""
    assert people
    server.put("pay.md", PAY, access=only("ann"))
    body = {"knowledge_base": str(base.id), "kind": KIND, "name": "Files", "options": OPTIONS}
    made = admin.post("/sources", {**body, "match_email": True})
    assert made.status_code == 201, made.content
    sync_source()
    return Source.objects.get()


Verify = Callable[[], dict[str, Any]]


@pytest.fixture
def verify(admin: Caller, source: Source) -> Verify:
    def run() -> dict[str, Any]:
        started = admin.post(f"/sources/{source.id}/verification")
        assert started.status_code == 202, started.content
        assert started.json()["state"] == "queued"
        verify_source(started.json()["id"])
        found: dict[str, Any] = admin.get(f"/sources/{source.id}/verification").json()
        assert found["id"] == started.json()["id"]
        assert found["ended_at"]
        return found

    return run


def ids(*callers: Caller) -> list[str]:
    return sorted(str(caller.user.id) for caller in callers)


def test_equal_permissions_pass_and_a_canary_is_not_found(
    verify: Verify, people: dict[str, Caller], parts: Engine
) -> None:
    indexed(Document.objects.get(), parts, PAY)
    found = verify()
    assert (found["state"], found["documents"], found["planned"]) == ("passed", 1, 1)
    assert (found["differences"], found["people_read"], found["error"]) == ([], True, "")
    assert (found["canaries"], found["found"]) == (1, 0)
    assert find_readable(people["ann"]) == {"pay.md"}
    event = Event.objects.get(action="source.verified")
    assert event.detail == {"state": "passed", "documents": 1, "differences": 0, "found": 0}


def test_revoked_reader_loses_access_at_once(
    verify: Verify, people: dict[str, Caller], server: FakeServer
) -> None:
    server.put("pay.md", PAY, access=only("bob"))
    SourceItem.objects.update(version=server.files["pay.md"].item.version)
    SourceItem.objects.update(synced_version=server.files["pay.md"].item.version)
    found = verify()
    [difference] = found["differences"]
    assert found["state"] == "differences"
    assert (difference["too_much"], difference["too_little"]) == (ids(people["ann"]), ids(people["bob"]))
    assert (difference["level"], difference["levels"], difference["action"]) == (1, 1, "corrected")
    assert find_readable(people["ann"]) == set()
    assert find_readable(people["bob"]) == {"pay.md"}
    event = Event.objects.get(action="source.access_corrected")
    assert (event.detail["people"], event.detail["outcome"]) == (1, "corrected")
    assert verify()["state"] == "passed"


def test_difference_names_the_level_that_refuses(
    verify: Verify, people: dict[str, Caller], server: FakeServer
) -> None:
    levels = ((AccessEntry(EVERYONE),), (AccessEntry("ann", allow=False), AccessEntry(EVERYONE)))
    server.files["pay.md"].access = SourceAccess(levels)
    [difference] = verify()["differences"]
    assert difference["too_much"] == ids(people["ann"])
    assert (difference["level"], difference["levels"]) == (2, 2)
    assert find_readable(people["ann"]) == set()


def test_person_who_left_a_group_loses_access_at_once(
    verify: Verify, people: dict[str, Caller], server: FakeServer
) -> None:
    everybody = list(server.people)
    server.people = [*everybody, SourceGroup("staff", "Staff", ("ann",))]
    server.files["pay.md"].access = only("staff")
    sync_source()
    assert find_readable(people["ann"]) == {"pay.md"}
    assert verify()["state"] == "passed"
    server.people = [*everybody, SourceGroup("staff", "Staff", ("bob",))]
    [difference] = verify()["differences"]
    assert (difference["too_much"], difference["too_little"]) == (ids(people["ann"]), ids(people["bob"]))
    assert difference["action"] == "corrected"
    assert find_readable(people["ann"]) == set()
    assert find_readable(people["bob"]) == {"pay.md"}


@pytest.mark.parametrize(
    "access", [None, SourceAccess(unknown="A folder above can’t be read."), SourceAccess()]
)
def test_document_that_the_source_shows_nobody_is_for_managers_at_once(
    verify: Verify, people: dict[str, Caller], server: FakeServer, mia: Caller, access: SourceAccess | None
) -> None:
    if access is None:
        del server.files["pay.md"]
    else:
        server.files["pay.md"].access = access
    [difference] = verify()["differences"]
    assert difference["too_much"] == ids(people["ann"])
    assert find_readable(people["ann"]) == set()
    assert find_readable(mia) == {"pay.md"}


def test_person_who_left_a_group_loses_documents_outside_of_the_sample(
    admin: Caller, source: Source, people: dict[str, Caller], server: FakeServer, monkeypatch: Any
) -> None:
    everybody = list(server.people)
    server.people = [*everybody, SourceGroup("staff", "Staff", ("ann",))]
    server.files["pay.md"].access = only("staff")
    sync_source()
    assert find_readable(people["ann"]) == {"pay.md"}
    server.people = [*everybody, SourceGroup("staff", "Staff", ())]
    monkeypatch.setattr(verification, "MAX_DOCUMENTS", 0)
    row = verification.verification_begin(source=source, principal=admin.principal)
    verify_source(str(row.id))
    assert find_readable(people["ann"]) == set()


def test_denial_of_an_unknown_group_is_no_difference(
    verify: Verify, people: dict[str, Caller], server: FakeServer
) -> None:
    level = (AccessEntry("nobody-knows", allow=False), AccessEntry("ann"))
    server.files["pay.md"].access = SourceAccess((level,))
    sync_source()
    assert find_readable(people["ann"]) == set()
    assert verify()["state"] == "passed"


def test_document_with_new_content_is_opened_to_nobody_new(
    verify: Verify, people: dict[str, Caller], server: FakeServer
) -> None:
    SourceItem.objects.update(version="newer")
    server.files["pay.md"].access = only("ann", "bob")
    assert verify()["state"] == "passed"
    assert find_readable(people["bob"]) == set()


def test_overgrant_that_stays_after_the_correction_is_restricted(
    verify: Verify, people: dict[str, Caller], server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["pay.md"].access = only("bob")
    store, calls = verification.set_source_access, []

    def ignore_first(source: uuid.UUID, accesses: Any) -> int:
        calls.append(accesses)
        return store(source, accesses) if len(calls) > 1 else 0

    monkeypatch.setattr(verification, "set_source_access", ignore_first)
    [difference] = verify()["differences"]
    assert difference["action"] == "restricted"
    assert find_readable(people["ann"]) == find_readable(people["bob"]) == set()


def test_document_found_without_permission_is_restricted(
    verify: Verify, people: dict[str, Caller], parts: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed(Document.objects.get(), parts, PAY)
    scope = canaries.reading_scope_for(people["ann"].principal)
    monkeypatch.setattr(canaries, "reading_scope_for", lambda _principal: scope)
    found = verify()
    assert (found["state"], found["canaries"], found["found"]) == ("differences", 1, 1)
    assert found["differences"][0]["action"] == "found"
    assert find_readable(people["ann"]) == set()


def test_broken_source_is_explained_and_changes_nothing(
    verify: Verify, people: dict[str, Caller], server: FakeServer
) -> None:
    def fail(_item: Item) -> None:
        raise SourceUnavailable("The server doesn’t answer.")

    server.asking = fail
    found = verify()
    assert (found["state"], found["error"]) == ("failed", "The server doesn’t answer.")
    assert (found["documents"], found["differences"]) == (0, [])
    server.password = "other"
    assert verify()["error"] == "Wrong password."
    assert find_readable(people["ann"]) == {"pay.md"}


def test_differences_found_before_the_source_broke_are_corrected(
    verify: Verify, people: dict[str, Caller], server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put("other.md", access=only("ann"))
    sync_source()
    for file in server.files.values():
        file.access = only("bob")
    monkeypatch.setattr(fresh_access, "BATCH_SIZE", 1)
    server.asked_access.clear()

    def fail_second(_item: Item) -> None:
        if len(server.asked_access) > 1:
            raise SourceUnavailable("The server doesn’t answer.")

    server.asking = fail_second
    found = verify()
    assert (found["state"], found["documents"], found["planned"]) == ("failed", 1, 2)
    [difference] = found["differences"]
    assert difference["action"] == "corrected"
    assert len(find_readable(people["ann"])) == 1


def test_slow_source_is_asked_for_a_limited_time(admin: Caller, source: Source, server: FakeServer) -> None:
    for number in range(5):
        server.put(f"{number}.md", access=only("ann"))
    sync_source()
    server.asked_access.clear()
    server.asking = lambda _item: time.sleep(0.2)
    row = verification.verification_begin(source=source, principal=admin.principal)
    verification.verification_run(row.id, seconds=0.3)
    found = admin.get(f"/sources/{source.id}/verification").json()
    assert (found["state"], found["documents"]) == ("failed", 2)
    assert "2 of 6 documents were checked" in found["error"]
    assert len(server.asked_access) == 2


def test_sample_is_limited(admin: Caller, source: Source, server: FakeServer, monkeypatch: Any) -> None:
    for number in range(5):
        server.put(f"{number}.md", access=only("ann"))
    sync_source()
    server.asked_access.clear()
    monkeypatch.setattr(verification, "MAX_DOCUMENTS", 3)
    row = verification.verification_begin(source=source, principal=admin.principal)
    verify_source(str(row.id))
    assert len(set(server.asked_access)) == 3


def test_people_that_cannot_be_read_now_are_those_of_the_last_sync(
    verify: Verify, people: dict[str, Caller], server: FakeServer
) -> None:
    def fail() -> Iterator[Any]:
        raise SourceUnavailable("Too many requests.")
        yield

    server.people = fail()  # type: ignore[assignment]
    found = verify()
    assert (found["state"], found["people_read"]) == ("passed", False)
    assert find_readable(people["ann"]) == {"pay.md"}


def test_presses_coalesce_until_the_verification_ends(admin: Caller, source: Source) -> None:
    path = f"/sources/{source.id}/verification"
    first = admin.post(path).json()["id"]
    assert admin.post(path).json()["id"] == first
    assert Event.objects.filter(action="source.verification_started").count() == 1
    verify_source(first)
    verify_source(first)
    assert Event.objects.filter(action="source.verified").count() == 1
    assert admin.post(path).json()["id"] != first


def test_interrupted_verification_blocks_no_new_one(admin: Caller, source: Source) -> None:
    path = f"/sources/{source.id}/verification"
    first = admin.post(path).json()["id"]
    SourceVerification.objects.update(created_at=timezone.now() - timedelta(minutes=11), state="running")
    assert admin.post(path).json()["id"] != first
    old = SourceVerification.objects.get(pk=first)
    assert (old.state, old.error) == ("failed", "The check was interrupted.")


def test_source_changed_meanwhile_is_not_corrected(
    verify: Verify, source: Source, people: dict[str, Caller], server: FakeServer, monkeypatch: Any
) -> None:
    server.files["pay.md"].access = only("bob")
    read = verification.read_fresh_access

    def pause_then_read(*args: Any) -> Any:
        found = read(*args)
        Source.objects.update(enabled=False)
        return found

    monkeypatch.setattr(verification, "read_fresh_access", pause_then_read)
    found = verify()
    assert (found["state"], found["error"]) == ("failed", "The source was changed during the check.")
    assert find_readable(people["ann"]) == {"pay.md"}


def test_sync_meanwhile_prevails_over_what_was_read_before(
    verify: Verify, source: Source, people: dict[str, Caller], server: FakeServer, monkeypatch: Any
) -> None:
    server.files["pay.md"].access = only("ann", "bob")
    read = verification.read_fresh_access

    def read_then_sync(*args: Any) -> Any:
        found = read(*args)
        SourceSchedule.objects.filter(source=source).update(finished_at=timezone.now())
        return found

    monkeypatch.setattr(verification, "read_fresh_access", read_then_sync)
    found = verify()
    error = "A sync ran during the check. Repeat the check after it."
    assert (found["state"], found["error"]) == ("failed", error)
    assert find_readable(people["bob"]) == set()


def test_verification_needs_an_enabled_source_that_decides(admin: Caller, source: Source) -> None:
    path = f"/sources/{source.id}/verification"
    assert_problem(admin.get(path), 404, "not_found")
    admin.patch(f"/sources/{source.id}", {"enabled": False})
    assert_problem(admin.post(path), 409, "conflict")
    admin.patch(f"/sources/{source.id}", {"enabled": True, "readers": "managers"})
    assert_problem(admin.post(path), 422, "invalid")
    assert not SourceVerification.objects.exists()


def test_only_admins_start_a_verification_or_read_its_result(
    verify: Verify, source: Source, mia: Caller, people: dict[str, Caller]
) -> None:
    verify()
    for caller in (mia, people["ann"]):
        assert caller.get(f"/sources/{source.id}/verification").status_code == 403
        assert caller.post(f"/sources/{source.id}/verification").status_code == 403
    assert SourceVerification.objects.count() == 1
