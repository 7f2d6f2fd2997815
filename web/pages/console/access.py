"""Page that explains to managers who may read a knowledge base or a document, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_safe

from cairn.access import audience as access
from cairn.access.audience import ADMIN, Access, DocumentAccess, access_of, document_access_of
from cairn.access.directory import find_users
from cairn.access.models import Role
from cairn.access.scope import Principal
from cairn.access.selectors import document_for, knowledge_base_named
from cairn.access.services import find_synced_access
from cairn.accounts.models import User
from cairn.library.models import Document
from web.i18n.localize import localize
from web.pages.library.document import about
from web.pages.shell.decorators import fragment, number_in, page, show

PEOPLE_PER_PAGE = 25
LONGEST_NAME = 150
GRANTED = {
    Role.READER: gettext_noop("Granted directly (reader)."),
    Role.EDITOR: gettext_noop("Granted directly (editor)."),
    Role.MANAGER: gettext_noop("Granted directly (manager)."),
}
BY_GROUP = {
    Role.READER: gettext_noop("Member of “{name}” (reader)."),
    Role.EDITOR: gettext_noop("Member of “{name}” (editor)."),
    Role.MANAGER: gettext_noop("Member of “{name}” (manager)."),
}
LIKE_EVERYONE = {
    Role.READER: gettext_noop("Everyone who can sign in is a reader."),
    Role.EDITOR: gettext_noop("Everyone who can sign in is an editor."),
    Role.MANAGER: gettext_noop("Everyone who can sign in is a manager."),
}


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person with access. `reasons` describe each way to get access, then the effect of restrictions."""

    id: UUID
    username: str
    may_read: bool
    role: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SubjectRow:
    subject: str
    name: str
    kind: str


@require_safe
@fragment
def people(request: HttpRequest, principal: Principal, slug: str) -> HttpResponse:
    base = knowledge_base_named(principal, slug, role=Role.MANAGER)
    asked, users, number = _find_people(request, access.people_in(base))
    shown = users[:PEOPLE_PER_PAGE]
    rows = [_row(each, may=each.is_active and each.role is not None) for each in access_of(shown, base)]
    return _people(request, rows, asked, number, more=len(users) > PEOPLE_PER_PAGE)


@require_safe
@fragment
def readers(request: HttpRequest, principal: Principal, document_id: str) -> HttpResponse:
    found = document_for(principal, document_id, role=Role.MANAGER)
    asked, users, number = _find_people(request, access.people_reading(found))
    rows = [_document_row(each) for each in document_access_of(users[:PEOPLE_PER_PAGE], found)]
    return _people(request, rows, asked, number, more=len(users) > PEOPLE_PER_PAGE)


def _find_people(request: HttpRequest, who_may: "QuerySet[User]") -> tuple[str, Sequence[User], int]:
    """Return people with access, or the people found by name, who may have none. One more than is shown."""
    asked = request.GET.get("q", "").replace("\0", "").strip()[:LONGEST_NAME]
    number = number_in(request.GET.get("page", ""))
    rows = find_users(asked) if asked else who_may
    begin = (number - 1) * PEOPLE_PER_PAGE
    return asked, list(rows.order_by("username", "id")[begin : begin + PEOPLE_PER_PAGE + 1]), number


def _people(
    request: HttpRequest, rows: Iterable[PersonRow], asked: str, number: int, *, more: bool
) -> HttpResponse:
    context = {"people": list(rows), "asked": asked, "number": number, "next": number + 1 if more else None}
    return render(request, "pages/console/_people.html", context)


def _row(found: Access, *, may: bool, more: Iterable[str] = ()) -> PersonRow:
    role = found.role.value if found.role else ""
    return PersonRow(found.user, found.label, may, role, (*_reasons(found), *more))


def _document_row(found: DocumentAccess) -> PersonRow:
    labels = {found.access.username: found.access.label}
    return _row(
        found.access, may=found.may_read, more=[_narrowing(each, labels) for each in found.restrictions]
    )


def _reasons(found: Access) -> Iterable[str]:
    if not found.is_active:
        yield gettext("The account is disabled.")
    for way in found.via:
        kind, _, _ = way.subject.partition(":")
        match kind:
            case _ if way.subject == ADMIN:
                yield gettext("Administrator (manages every knowledge base).")
            case "user":
                yield gettext(GRANTED[way.role])
            case "group":
                yield gettext(BY_GROUP[way.role]).format(name=way.name)
            case _:
                yield gettext(LIKE_EVERYONE[way.role])
    if not found.via:
        yield gettext("No access: not granted to them, their groups or everyone.")


def _narrowing(narrowing: access.Restriction, labels: Mapping[str, str]) -> str:
    names = ", ".join(labels.get(name, name) for name in narrowing.passes)
    if narrowing.is_synced:
        return _describe_synced(narrowing, names)
    if not narrowing.passes:
        sentence = gettext("“{title}” is restricted to selected readers, and this person isn’t one of them.")
        return sentence.format(title=narrowing.title)
    sentence = gettext("“{title}” is restricted to selected readers; this person is included as {names}.")
    return sentence.format(title=narrowing.title, names=names)


def _describe_synced(narrowing: access.Restriction, names: str) -> str:
    if not narrowing.passes:
        sentence = gettext("The source of “{title}” decides who can read it.").format(title=narrowing.title)
        return f"{sentence} {localize(narrowing.refusal)}".strip()
    sentence = gettext("The source of “{title}” decides who can read it; this person is included as {names}.")
    return sentence.format(title=narrowing.title, names=names)


@require_safe
@page
def document(request: HttpRequest, principal: Principal, document_id: str) -> HttpResponse:
    found = document_for(principal, document_id, role=Role.MANAGER)
    context = {
        **about(principal, found),
        "tab": "access",
        "narrowed": found.narrowed,
        "synced": find_synced_access(found),
        "readers": _load_reader_rows(found),
        "blank_reader": SubjectRow("", "", ""),
    }
    return show(request, principal, "pages/library/access.html", context, area="library")


def _load_reader_rows(found: Document) -> list[SubjectRow]:
    return [
        SubjectRow(reader.subject, reader.name, _kind(reader.subject))
        for reader in found.readers.select_related("user", "group")
    ]


def _kind(subject: str) -> str:
    return subject.partition(":")[0]
