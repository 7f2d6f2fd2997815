"""Sources on pages: set up with a form that explains itself, watched by managers, changed by admins."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from cairn.access.models import SourceSubject, SubjectKind
from cairn.accounts.models import User
from cairn.library.models import Document, DocumentVersion, KnowledgeBase, VersionState
from ingestion import broker
from ingestion.models import Source, SourceItem, SourceSchedule, SourceVerification
from ingestion.sources import kinds
from ingestion.sources.protocol import Complete, Item
from tests.sources_kind import PASSWORD, Shelf, add_shelf
from tests.web.pages.conftest import text_of

pytestmark = pytest.mark.django_db(transaction=True)
SignIn = Callable[[User], Client]
NEW = "/admin/sources/new/shelf"


@pytest.fixture(autouse=True)
def shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    add_shelf(monkeypatch)
    monkeypatch.setattr(broker, "send", lambda *_: None)


def typed(base: KnowledgeBase, **more: str) -> dict[str, str]:
    return {
        "knowledge_base": base.slug, "name": "Staff shelf", "options-url": "https://shelf.example.org",
        "options-username": "cairn", "options-password": PASSWORD, "options-port": "443",
        "options-verify": "1", "options-security": "tls", "options-folders": "staff\n\n board ",
        "readers": "source", "every-content": "21600", "every-access": "900", "every-people": "3600", **more,
    }  # fmt: skip


@pytest.fixture
def source(signed_in: SignIn, admin: User, base: KnowledgeBase) -> Source:
    signed_in(admin).post(NEW, typed(base))
    return Source.objects.get()


def field_of(html: str, name: str) -> str:
    found = re.search(rf'<(?:input|select|textarea)[^>]*name="{name}"[^>]*>', html)
    assert found, name
    return found[0]


def test_admin_selects_a_source_kind_and_fills_its_form(
    signed_in: SignIn, admin: User, base: KnowledgeBase
) -> None:
    client = signed_in(admin)
    assert "No sources yet" in text_of(client.get("/admin/sources"))
    assert f'href="{NEW}?base={base.slug}"' in text_of(client.get(f"/admin/sources/new?base={base.slug}"))
    html = text_of(client.get(f"{NEW}?base={base.slug}"))
    assert 'type="password"' in field_of(html, "options-password")
    assert 'type="number"' in field_of(html, "options-port")
    assert 'max="65535"' in field_of(html, "options-port")
    assert 'type="checkbox"' in field_of(html, "options-verify")
    assert field_of(html, "options-security").startswith("<select")
    assert field_of(html, "options-folders").startswith("<textarea")
    assert " required" in field_of(html, "options-url")
    assert f'<option value="{base.slug}" selected>' in html
    answer = client.post(NEW, typed(base), follow=True)
    row = Source.objects.get()
    assert answer.redirect_chain == [(f"/admin/sources/{row.id}", 302)]
    assert "The source is set up." in text_of(answer)
    assert (row.name, row.knowledge_base, row.readers) == ("Staff shelf", base, "source")
    assert row.options["folders"] == ["staff", "board"]
    every = dict(SourceSchedule.objects.values_list("task", "every_seconds"))
    assert every == {"content": 21600, "access": 900, "people": 3600}
    assert "Staff shelf" in text_of(client.get("/admin/sources"))


def test_source_form_errors_are_shown_next_to_their_fields(
    signed_in: SignIn, admin: User, base: KnowledgeBase
) -> None:
    wrong = typed(
        base, name="", knowledge_base="nothing", readers="",
        **{"options-url": "ftp://shelf", "options-port": "many", "options-username": "x" * 51},
    )  # fmt: skip
    answer = signed_in(admin).post(NEW, wrong)
    assert answer.status_code == 422
    html = text_of(answer)
    for name, element, problem in (
        ("options-url", "source-url", "The address must start with https://."),
        ("options-port", "source-port", "Enter a whole number."),
        ("options-username", "source-username", "Use at most 50 characters."),
        ("name", "source-name-of", "Fill in this field."),
        ("knowledge_base", "source-base", "Choose a knowledge base."),
    ):
        assert 'aria-invalid="true"' in field_of(html, name)
        assert f"{element}-problem" in field_of(html, name)
        assert re.search(rf'<p class="error-text[^"]*" id="{element}-problem">{re.escape(problem)}</p>', html)
    assert '<p class="error-text" id="readers-problem">Choose one of the options.</p>' in html
    assert 'value="ftp://shelf"' in field_of(html, "options-url")
    assert PASSWORD not in html
    assert not Source.objects.exists()


def test_duplicate_source_name_is_an_error_of_the_name_field(
    signed_in: SignIn, admin: User, source: Source
) -> None:
    html = text_of(signed_in(admin).post(NEW, typed(source.knowledge_base)))
    assert 'aria-invalid="true"' in field_of(html, "name")


def test_source_test_shows_its_steps_and_stores_nothing(
    signed_in: SignIn, admin: User, base: KnowledgeBase
) -> None:
    client = signed_in(admin)
    html = text_of(client.post(f"{NEW}/test", typed(base)))
    assert "shelf.example.org answers." in html
    assert "Everything works." in html
    assert "Warning" not in html
    html = text_of(client.post(f"{NEW}/test", typed(base, **{"options-security": "none"})))
    assert "Warning" in html
    assert "The connection isn’t encrypted." in html
    assert "Everything works, but read the warning." in html
    assert html.count("#i-check") == 2
    html = text_of(client.post(f"{NEW}/test", typed(base, **{"options-password": "wrong"})))
    assert "The password is wrong." in html
    assert "Failed" in html
    assert "Everything works." not in html
    html = text_of(client.post(f"{NEW}/test", typed(base, **{"options-url": "", "name": ""})))
    assert "Nothing was tested yet." in html
    assert "Address: Fill in this field." in html
    assert not Source.objects.exists()


def test_source_preview_lists_items_to_import(signed_in: SignIn, admin: User, base: KnowledgeBase) -> None:
    html = text_of(signed_in(admin).post(f"{NEW}/preview", typed(base)))
    assert "2 documents</strong>, 4.9\xa0KB. " in html
    assert "leave.md" in html
    assert "board: The folder is closed to this account." in html
    assert not SourceItem.objects.exists()


def test_source_preview_counts_documents_of_unknown_size(
    signed_in: SignIn, admin: User, base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [Item("1", "a.md", "shelf://a.md", "1", size=2000), Item("2", "b.html", "shelf://b.html", "1")]
    monkeypatch.setattr(Shelf, "list_changes", lambda _self, _cursor: iter([*items, Complete()]))
    html = text_of(signed_in(admin).post(f"{NEW}/preview", typed(base)))
    assert "2 documents</strong>, at least 2\xa0KB; the size of 1 document is unknown. " in html


def test_stored_secret_is_used_but_never_shown(signed_in: SignIn, admin: User, source: Source) -> None:
    client, edit = signed_in(admin), f"/admin/sources/{source.id}/edit"
    html = text_of(client.get(edit))
    assert PASSWORD not in html
    assert 'value=""' in field_of(html, "options-password")
    assert "A value is stored and never shown again." in html
    blank = {**typed(source.knowledge_base), "source": str(source.id), "options-password": ""}
    assert "Everything works." in text_of(client.post(f"{NEW}/test", blank))
    assert client.post(edit, {**blank, "name": "Renamed"}).status_code == 302
    source.refresh_from_db()
    assert source.name == "Renamed"
    assert "Everything works." in text_of(client.post(f"{NEW}/test", blank))
    elsewhere = {**blank, "options-url": "https://attacker.example.org"}
    html = text_of(client.post(f"{NEW}/test", elsewhere))
    assert "Everything works." not in html
    assert "again" in html
    assert client.post(edit, elsewhere).status_code == 422


def test_managers_see_source_progress_without_edit_controls(
    signed_in: SignIn, admin: User, mia: User, rob: User, source: Source
) -> None:
    page, manager = f"/admin/sources/{source.id}", signed_in(mia)
    SourceItem.objects.create(
        source=source, external_id="1", name="big.md", uri="shelf://big.md", version="1", error="Too large."
    )
    html = text_of(manager.get(page))
    for shown in ("Staff shelf", "big.md", "Too large.", "Whoever may read them in the source"):
        assert shown in html
    for element in (
        "data-source-sync",
        "data-source-pause",
        "delete-source",
        f"{page}/edit",
        f"{page}/people",
    ):
        assert element not in html
    assert "Add source" not in text_of(manager.get("/admin/sources"))
    assert "data-source-sync" in text_of(signed_in(admin).get(page))
    for path in ("/admin/sources/new", NEW, f"{page}/edit", f"{page}/people"):
        assert manager.get(path).status_code == 403
    for path in (NEW, f"{NEW}/test", f"{NEW}/preview", f"{page}/edit"):
        assert manager.post(path, typed(source.knowledge_base)).status_code == 403
    assert signed_in(rob).get(page).status_code == 404
    assert signed_in(rob).get("/admin/sources").status_code == 403


def test_source_page_shows_failures_and_the_next_run(signed_in: SignIn, admin: User, source: Source) -> None:
    SourceSchedule.objects.filter(task="content").update(
        failures=2,
        error="The server doesn’t answer.",
        requested_at=None,
        finished_at=timezone.now(),
        result={"items": 1200, "removed": 0},
    )
    html = text_of(signed_in(admin).get(f"/admin/sources/{source.id}/progress"))
    assert "The server doesn’t answer." in html
    assert "1,200 documents found" in html
    assert "0 deleted" not in html
    assert ">Failed<" in html
    html = text_of(signed_in(admin).get("/admin/sources"))
    assert "Problem" in html


def test_failed_test_is_shown_in_the_list_and_on_the_page(
    signed_in: SignIn, admin: User, source: Source
) -> None:
    client = signed_in(admin)
    Source.objects.update(check_error="The password is wrong.", checked_at=timezone.now())
    assert ">Problem<" in text_of(client.get("/admin/sources"))
    html = text_of(client.get(f"/admin/sources/{source.id}"))
    assert "The last test of the connection failed: The password is wrong." in html
    SourceSchedule.objects.filter(task="content").update(succeeded_at=timezone.now())
    assert ">Problem<" not in text_of(client.get("/admin/sources"))
    assert "The password is wrong." not in text_of(client.get(f"/admin/sources/{source.id}"))


@pytest.mark.parametrize(
    ("readers", "note"),
    [("source", "nobody loses access here"), ("managers", "even if they change in the source.")],
)
def test_paused_source_explains_what_stays_unchanged(
    signed_in: SignIn, admin: User, source: Source, readers: str, note: str
) -> None:
    client = signed_in(admin)
    Source.objects.update(readers=readers)
    assert "Paused:" not in text_of(client.get(f"/admin/sources/{source.id}"))
    Source.objects.update(enabled=False)
    html = text_of(client.get(f"/admin/sources/{source.id}"))
    assert "Paused: documents stay as they are" in html
    assert note in html


def test_imported_documents_that_cannot_be_searched_are_counted(
    signed_in: SignIn, admin: User, source: Source
) -> None:
    for name, state in (("film.mp4", VersionState.FAILED), ("plan.md", VersionState.QUEUED)):
        document = Document.objects.create(knowledge_base=source.knowledge_base, title=name, source_key=name)
        document.latest_version = DocumentVersion.objects.create(
            document=document, number=1, filename=name, sha256="0" * 64, size=1, state=state
        )
        document.save()
        SourceItem.objects.create(
            source=source, external_id=name, name=name, uri=name, version="1", synced_version="1",
            document=document,
        )  # fmt: skip
    html = text_of(signed_in(admin).get(f"/admin/sources/{source.id}/progress"))
    assert "1 imported document can’t be searched." in html
    assert f'href="/library/{source.knowledge_base.slug}?status=failed"' in html


def test_source_without_items_has_no_documents_yet(signed_in: SignIn, admin: User, source: Source) -> None:
    html = text_of(signed_in(admin).get(f"/admin/sources/{source.id}"))
    assert "No documents yet" in html
    assert "Every document could be fetched." not in html


def test_items_are_filtered_by_state_and_name(signed_in: SignIn, admin: User, source: Source) -> None:
    for name, error in (("a.md", "Too large."), ("b.md", "Locked."), ("c.md", "")):
        SourceItem.objects.create(
            source=source, external_id=name, name=name, uri=f"shelf://{name}", version="1", error=error
        )
    client, page = signed_in(admin), f"/admin/sources/{source.id}"
    html = text_of(client.get(page))
    assert "a.md" in html
    assert "c.md" not in html
    assert "c.md" in text_of(client.get(f"{page}?state=pending"))
    html = text_of(client.get(f"{page}?q=b.md"))
    assert "Locked." in html
    assert "Too large." not in html


def test_unknown_people_are_listed_to_be_linked(
    signed_in: SignIn, admin: User, rob: User, source: Source
) -> None:
    SourceSubject.objects.create(
        source=source.id, external_id="p1", kind=SubjectKind.PERSON, name="Rob Roe", email="r@example.org"
    )
    SourceSubject.objects.create(
        source=source.id, external_id="p2", kind=SubjectKind.PERSON, name="Ann", user=rob, link="manual"
    )
    client = signed_in(admin)
    html = text_of(client.get(f"/admin/sources/{source.id}"))
    assert "1 is unknown here" in html
    html = text_of(client.get(f"/admin/sources/{source.id}/people"))
    assert "Rob Roe" in html
    assert "data-link-person" in html
    assert "Ann" not in html
    html = text_of(client.get(f"/admin/sources/{source.id}/people?show=linked"))
    assert "linked by hand" in html
    assert "data-unlink-person" in html


def test_source_of_an_unknown_kind_is_named_and_read_only(
    signed_in: SignIn, admin: User, source: Source
) -> None:
    Source.objects.update(kind="gone")
    client = signed_in(admin)
    assert "gone" in text_of(client.get(f"/admin/sources/{source.id}"))
    assert client.get(f"/admin/sources/{source.id}/edit").status_code == 404
    assert client.get("/admin/sources/new/gone").status_code == 404


def test_sources_are_filtered_by_knowledge_base(signed_in: SignIn, admin: User, source: Source) -> None:
    client: Any = signed_in(admin)
    assert "Staff shelf" in text_of(client.get(f"/admin/sources?base={source.knowledge_base.slug}"))
    assert "Staff shelf" not in text_of(client.get("/admin/sources?base=elsewhere"))


def test_source_kind_without_its_packages_is_not_offered(
    signed_in: SignIn, admin: User, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(kinds.KINDS, "extra", "package_that_is_not_there.KIND")
    Source.objects.update(kind="extra")
    client = signed_in(admin)
    html = text_of(client.get("/admin/sources/new"))
    assert 'href="/admin/sources/new/shelf"' in html
    assert "extra" not in html
    assert client.get("/admin/sources/new/extra").status_code == 404
    assert "Staff shelf" in text_of(client.get(f"/admin/sources/{source.id}"))


def test_admin_creates_and_sees_the_webhook_of_a_source(
    signed_in: SignIn, admin: User, source: Source
) -> None:
    client, page = signed_in(admin), f"/admin/sources/{source.id}"
    html = text_of(client.get(page))
    assert "The source receives no reports." in html
    assert f"http://testserver/hooks/sources/{source.id}" in html
    assert "Replace secret" not in html
    made = client.post(f"/api/v1/sources/{source.id}/webhook").json()
    html = text_of(client.get(page))
    assert "Nothing has been reported yet." in html
    assert "Replace secret" in html
    assert "Remove webhook" in html
    assert made["secret"] not in html


def test_managers_see_no_webhook(signed_in: SignIn, mia: User, source: Source) -> None:
    html = text_of(signed_in(mia).get(f"/admin/sources/{source.id}"))
    assert "Staff shelf" in html
    assert "ebhook" not in html
    assert "/hooks/" not in html


def test_admin_reads_the_verification_of_a_source_in_plain_words(
    signed_in: SignIn, admin: User, mia: User, source: Source, document: Document
) -> None:
    client, page = signed_in(admin), f"/admin/sources/{source.id}"
    assert "Not checked yet." in text_of(client.get(page))
    row = SourceVerification.objects.create(source=source, requested_by=admin)
    html = text_of(client.get(page))
    assert "This takes up to two minutes." in html
    assert 'hx-trigger="every 3s"' in html
    row.state, row.planned, row.documents, row.canaries, row.found = "differences", 3, 2, 1, 0
    row.differences = [
        {
            "document": str(document.id), "too_much": [str(mia.id)], "too_much_count": 2, "too_little": [],
            "too_little_count": 0, "level": 2, "levels": 3, "action": "corrected",
        }
    ]  # fmt: skip
    row.save()
    html = text_of(client.get(f"{page}/verification"))
    for words in (
        "1 difference", "2 of 3 random documents compared", "groups as of the last sync of people",
        "1 document searched for by people who may not read it: 0 found", document.title, "mia",
        "and 1 more", "Refused in the source at level 2 of 3.", "Corrected.", "started by ada",
    ):  # fmt: skip
        assert words in html
    assert "hx-trigger" not in html
    assert document.title not in text_of(signed_in(mia).get(page))
    row.state, row.error = "failed", "The password is wrong."
    row.save()
    html = text_of(client.get(page))
    assert "Not finished" in html
    assert "The password is wrong." in html
    Source.objects.update(readers="managers")
    assert "Verify permissions" not in text_of(client.get(page))
