"""Access to documents whose source decides who may read them."""

import uuid
from collections.abc import Callable

import pytest

from cairn.access.audience import document_access_of
from cairn.access.models import AccessList, Role, SourceSubject, SyncedAccess
from cairn.access.permissions import documents_for
from cairn.access.principals import principal_for_user
from cairn.access.services import grant_give, reader_tokens, readers_of, readers_replace
from cairn.access.source_access import (
    EVERYONE,
    AccessEntry,
    SourceAccess,
    SourceGroup,
    SourcePerson,
    simplify_levels,
)
from cairn.access.source_services import (
    forget_source,
    link_source_person,
    replace_source_people,
    set_source_access,
)
from cairn.accounts.models import User
from cairn.accounts.provisioning import identity_set
from cairn.accounts.services import user_delete, user_update
from cairn.audit.models import Event
from cairn.errors import Conflict, InvalidInput
from cairn.library.models import Document, KnowledgeBase
from tests.bases import make_base
from tests.principals import SETUP

pytestmark = pytest.mark.django_db
SOURCE = uuid.UUID(int=24)
ADA, BOB = SourcePerson("S-ada", "Ada", directory_id="id-ada"), SourcePerson("S-bob", "Bob")


@pytest.fixture
def base(make_user: Callable[..., User]) -> KnowledgeBase:
    make_user("root", is_admin=True)
    base = make_base(name="Files", principal=principal_for_user(make_user("manager")))
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    return base


@pytest.fixture
def document(base: KnowledgeBase) -> Document:
    return Document.objects.create(knowledge_base=base, source_key="plan.md", title="Plan")


@pytest.fixture
def ada(make_user: Callable[..., User]) -> User:
    user = make_user("ada")
    identity_set(user, source="ldap", external_id="id-ada", actor=None)
    return user


@pytest.fixture
def bob(make_user: Callable[..., User]) -> User:
    return make_user("bob")


def read_people(*found: SourcePerson | SourceGroup, match_email: bool = False) -> int:
    return replace_source_people(SOURCE, found, directory="ldap", match_email=match_email).linked


def levels(*some: tuple[str, ...]) -> SourceAccess:
    """Build levels in which a minus sign denies."""
    return SourceAccess(
        tuple(tuple(AccessEntry(n.removeprefix("-"), allow=n[0] != "-") for n in level) for level in some)
    )


def may_read(user: User, document: Document) -> bool:
    return documents_for(principal_for_user(user)).filter(pk=document.pk).exists()


def find_subject(external_id: str) -> SourceSubject:
    return SourceSubject.objects.get(source=SOURCE, external_id=external_id)


def test_only_people_allowed_by_the_source_read_a_document(document: Document, ada: User, bob: User) -> None:
    assert may_read(bob, document)
    assert read_people(ADA, BOB) == 1
    assert set_source_access(SOURCE, {document.pk: levels(("S-ada",))}) == 1
    assert may_read(ada, document)
    assert not may_read(bob, document)
    link_source_person(find_subject("S-bob"), bob, SETUP)
    assert not may_read(bob, document)
    set_source_access(SOURCE, {document.pk: levels((EVERYONE,), ("S-ada", "S-bob"))})
    assert may_read(bob, document)


def test_membership_in_nested_and_cyclic_groups_applies_immediately(document: Document, ada: User) -> None:
    set_source_access(SOURCE, {document.pk: levels(("top",))})
    inner, middle = (
        SourceGroup("inner", "Inner", ("S-ada",)),
        SourceGroup("middle", "Middle", ("inner", "top")),
    )
    read_people(ADA, inner, middle, SourceGroup("top", "Top", ("middle",)))
    assert may_read(ada, document)
    assert set(find_subject("top").members) == set(find_subject("S-ada").members) == {ada}
    read_people(ADA, inner, middle, SourceGroup("top", "Top"))
    assert not may_read(ada, document)


def test_source_person_follows_changes_of_directory_ids_immediately(document: Document, bob: User) -> None:
    read_people(SourcePerson("S-bob", "Bob", directory_id="id-bob"))
    set_source_access(SOURCE, {document.pk: levels(("S-bob",))})
    assert not may_read(bob, document)
    identity_set(bob, source="scim", external_id="id-bob", actor=None)
    assert not may_read(bob, document)
    identity_set(bob, source="ldap", external_id="id-bob", actor=None)
    assert may_read(bob, document)
    identity_set(bob, source="ldap", external_id="", actor=None)
    assert not may_read(bob, document)


def test_email_links_only_one_person_to_one_active_account(document: Document, ada: User, bob: User) -> None:
    mail = SourcePerson("S-bob", "Bob", email="Bob@Example.org")
    user_update(bob, email="bob@example.org")
    assert read_people(mail) == 0
    assert read_people(mail, match_email=True) == 1
    assert find_subject("S-bob").user == bob
    assert read_people(mail, SourcePerson("S-2", "Bob", email="bob@example.org"), match_email=True) == 0
    user_update(ada, email="bob@example.org")
    assert read_people(mail, match_email=True) == 0
    user_update(bob, is_active=False)
    assert read_people(mail, match_email=True) == 1
    assert find_subject("S-bob").user == ada


def test_links_by_hand_stay_and_are_recorded(ada: User, bob: User) -> None:
    read_people(ADA)
    link_source_person(find_subject("S-ada"), bob, SETUP)
    assert read_people(ADA) == 1
    assert find_subject("S-ada").user == bob
    link_source_person(find_subject("S-ada"), None, SETUP)
    assert read_people(ADA) == 0
    events = Event.objects.filter(action="source.person_linked").order_by("pk")
    assert [event.detail["to"] for event in events] == [str(bob.pk), None]
    read_people(SourceGroup("staff", "Staff"))
    with pytest.raises(InvalidInput):
        link_source_person(find_subject("staff"), bob, SETUP)


def test_missing_source_person_loses_group_memberships(document: Document, ada: User) -> None:
    set_source_access(SOURCE, {document.pk: levels(("-S-bob", "staff"))})
    read_people(ADA, BOB, SourceGroup("staff", "Staff", ("S-ada",)))
    assert may_read(ada, document)
    read_people(BOB, SourceGroup("staff", "Staff", ("S-ada",)))
    assert not may_read(ada, document)
    assert not SourceSubject.objects.filter(external_id="S-ada").exists()
    read_people(ADA, SourceGroup("staff", "Staff", ("S-ada",)))
    assert (find_subject("S-bob").label, find_subject("S-bob").kind) == ("S-bob", "person")
    assert may_read(ada, document)  # a denial for a person who left applies to no one else


def test_missing_source_group_denies_everyone_until_it_returns(document: Document, ada: User) -> None:
    guests, staff = SourceGroup("guests", "Guests", ("S-ada",)), SourceGroup("staff", "Staff", ("S-ada",))
    read_people(ADA, guests, staff)
    set_source_access(SOURCE, {document.pk: levels(("-guests", "staff"))})
    assert not may_read(ada, document)
    read_people(ADA, staff)  # as if the server hid its groups from the account this time
    assert not may_read(ada, document)
    assert not document_access_of([ada], document_again(document))[0].may_read
    assert find_subject("guests").kind == "unknown"
    read_people(ADA, SourceGroup("guests", "Guests"), staff)
    assert may_read(ada, document)


def test_manual_link_survives_the_absence_of_its_source_person(
    document: Document, ada: User, bob: User
) -> None:
    mail = SourcePerson("S-bob", "Bob", email="bob@example.org")
    user_update(bob, email="bob@example.org")
    guests = SourceGroup("guests", "Guests", ("S-bob",))
    set_source_access(SOURCE, {document.pk: levels(("-guests", EVERYONE))})
    read_people(mail, guests, match_email=True)
    for account, link in ((ada, "manual"), (None, "nobody")):
        link_source_person(find_subject("S-bob"), account, SETUP)
        read_people(guests, match_email=True)
        gone = find_subject("S-bob")
        assert (gone.name, gone.email, gone.groups.count()) == ("", "", 0)
        for anyone in (ada, bob):  # whose groups are unknown now
            assert not may_read(anyone, document)
            assert not document_access_of([anyone], document_again(document))[0].may_read
        read_people(mail, guests, match_email=True)
        assert (find_subject("S-bob").user, find_subject("S-bob").link) == (account, link)


def test_manual_link_gives_no_access_while_its_source_person_is_missing(
    document: Document, bob: User
) -> None:
    set_source_access(SOURCE, {document.pk: levels(("S-bob",))})
    read_people(BOB)
    link_source_person(find_subject("S-bob"), bob, SETUP)
    for found, reads in (([BOB], True), ([ADA], False), ([BOB], True)):
        read_people(*found)
        assert may_read(bob, document) is reads
        assert document_access_of([bob], document_again(document))[0].may_read is reads


def test_denial_applies_to_accounts_unknown_to_the_source(document: Document, ada: User, bob: User) -> None:
    read_people(ADA, SourceGroup("guests", "Guests"))
    set_source_access(SOURCE, {document.pk: levels(("-guests", EVERYONE))})
    assert (may_read(ada, document), may_read(bob, document)) == (True, False)
    set_source_access(SOURCE, {document.pk: levels(("-S-1-5-unknown", EVERYONE))})
    assert (may_read(ada, document), may_read(bob, document)) == (False, False)


def test_document_with_unknown_source_access_is_readable_by_managers_only(
    document: Document, ada: User
) -> None:
    read_people(ADA)
    set_source_access(SOURCE, {document.pk: SourceAccess((), unknown="The server hides the permissions.")})
    assert not may_read(ada, document)
    assert may_read(User.objects.get(username="manager"), document)
    assert reader_tokens(document_again(document)) == ()
    found = document_access_of([ada], document_again(document))[0].restrictions[0]
    assert found.refusal == "The server hides the permissions."
    for nobody in (levels(), levels(())):
        set_source_access(SOURCE, {document.pk: nobody})
        assert not may_read(ada, document)


def document_again(document: Document) -> Document:
    return Document.objects.get(pk=document.pk)


def test_document_is_reindexed_only_when_its_access_list_changes(
    document: Document, base: KnowledgeBase, ada: User
) -> None:
    inside = Document.objects.create(knowledge_base=base, source_key="b", title="Inside", parent=document)
    access = levels(("S-ada",), (EVERYONE,))
    assert set_source_access(SOURCE, {document.pk: access}) == 1
    token = reader_tokens(document_again(document))
    assert token == reader_tokens(document_again(inside)) == (f"list:{AccessList.objects.get().pk}",)
    assert set(Document.objects.values_list("index_stale", flat=True)) == {True}
    Document.objects.update(index_stale=False)
    assert set_source_access(SOURCE, {document.pk: levels((EVERYONE,), ("S-ada", "-x"))}) == 0
    read_people(ADA)
    assert set(Document.objects.values_list("index_stale", flat=True)) == {False}
    assert set_source_access(SOURCE, {document.pk: levels(("S-bob",))}) == 1
    assert set(Document.objects.values_list("index_stale", flat=True)) == {True}
    assert reader_tokens(document_again(document)) != token


def test_documents_share_access_lists_and_unused_lists_are_deleted(base: KnowledgeBase) -> None:
    documents = [
        Document.objects.create(knowledge_base=base, source_key=f"{n}", title=f"{n}") for n in range(600)
    ]
    gone = uuid.uuid4()
    accesses = {each.pk: levels((f"g{n % 3}",)) for n, each in enumerate(documents)}
    assert set_source_access(SOURCE, {**accesses, gone: levels(("g0",))}) == 600
    assert AccessList.objects.count() == 3
    assert set_source_access(SOURCE, {pk: levels(("g0",)) for pk in accesses}) == 400
    assert AccessList.objects.count() == 1


def test_source_access_replaces_readers_and_cannot_be_overridden(
    document: Document, ada: User, bob: User
) -> None:
    readers_replace(document=document, readers=[f"user:{bob.pk}"], actor=None)
    set_source_access(SOURCE, {document.pk: levels(("S-ada",))})
    assert not may_read(bob, document)
    assert readers_of(document_again(document)) == ["source"]
    for readers in (["everyone"], [f"user:{bob.pk}"], []):
        with pytest.raises(Conflict):
            readers_replace(document=document_again(document), readers=readers, actor=None)
    assert not may_read(bob, document)


def test_documents_of_a_forgotten_source_are_readable_by_managers_only(document: Document, ada: User) -> None:
    read_people(ADA)
    set_source_access(SOURCE, {document.pk: levels(("S-ada",))})
    Document.objects.update(index_stale=False)
    forget_source(SOURCE)
    assert not may_read(ada, document)
    assert may_read(User.objects.get(username="manager"), document)
    assert document_again(document).index_stale
    assert not any(model.objects.exists() for model in (SourceSubject, AccessList, SyncedAccess))
    readers_replace(document=document_again(document), readers=[f"user:{ada.pk}"], actor=None)
    assert may_read(ada, document)


def test_erased_account_loses_its_link_to_a_source_person(document: Document, ada: User) -> None:
    read_people(ADA, BOB)
    link_source_person(find_subject("S-bob"), ada, SETUP)
    user_delete(ada)
    assert find_subject("S-bob").user is None
    assert read_people(ADA, BOB) == 0


@pytest.mark.parametrize(
    ("access", "refusal"),
    [
        (levels(("S-bob", "staff")), "The source only lets Bob or Staff read it, and"),
        (levels((EVERYONE,), ("-S-ada", EVERYONE)), "The source denies access to “Ada”, and"),
        (levels(("-odd", EVERYONE)), "The source denies access to “odd”. Cairn doesn’t know"),
        (levels(("-*", "S-ada")), "The source lets nobody read it."),
        (levels(), "The source lets nobody read it."),
        (levels(tuple(f"g{n}" for n in range(7))), "The source only lets “g0” and 6 others read it"),
    ],
)  # fmt: skip
def test_refusing_access_level_is_explained(
    document: Document, ada: User, access: SourceAccess, refusal: str
) -> None:
    read_people(ADA, BOB, SourceGroup("staff", "Staff"))
    set_source_access(SOURCE, {document.pk: access})
    found = document_access_of([ada], document_again(document))[0]
    assert not found.may_read
    assert found.restrictions[0].refusal.startswith(refusal)


def test_levels_are_simplified() -> None:
    allowed = (AccessEntry(EVERYONE),)
    level = (AccessEntry("a"), AccessEntry("a", allow=False), AccessEntry("b"), AccessEntry("c", allow=False))
    assert simplify_levels([allowed, level, level]) == ((AccessEntry("a"), AccessEntry("b")),)
    assert simplify_levels([allowed, allowed]) == (allowed,)
    assert simplify_levels([]) == ()
    assert simplify_levels([allowed, ()]) == ((),)
