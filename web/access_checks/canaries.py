"""Canary documents with made-up words, and people with and without access."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.utils import timezone

from cairn.access.models import AccessCheck, Role, SourceSubject, SubjectKind
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.services import grant_give, grants_replace
from cairn.access.source_access import AccessEntry, SourceAccess, SourceGroup, SourcePerson
from cairn.access.source_services import link_source_person, replace_source_people, set_source_access
from cairn.accounts.models import User
from cairn.accounts.services import api_key_create, group_update, user_update
from cairn.audit.services import mark_events_of_check
from cairn.library.models import Document, KnowledgeBase
from cairn.limits.services import limit_lift
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from web.access_checks.artifacts import (
    create_group,
    create_knowledge_base,
    create_source,
    create_user,
    remove_all_artifacts,
)

KEY_LIFE: Final = timedelta(minutes=30)
_EVERYBODY, _DENIED = "everybody", "denied"
_SYLLABLES: Final = tuple(a + b for a in "bdfgklmnprstvz" for b in "aeiou")


def word() -> str:
    """Make up a word that occurs in no document: 6 syllables of 70 are 36 bits."""
    return "".join(secrets.choice(_SYLLABLES) for _ in range(6))


def number() -> str:
    return str(secrets.randbelow(9 * 10**9) + 10**9)


@dataclass(frozen=True, slots=True)
class Canary:
    """A canary. Searches use `handle`; nothing of `hidden` may be returned to people without access."""

    handle: str = field(default_factory=word)
    code: str = field(default_factory=number)
    title: str = field(default_factory=word)
    file: str = field(default_factory=word)
    tag: str = field(default_factory=word)
    section: str = field(default_factory=word)

    @property
    def question(self) -> str:
        return f"What is the reserve code of {self.handle}?"

    @property
    def sentence(self) -> str:
        return f"The reserve code of {self.handle} is {self.code}."

    @property
    def hidden(self) -> frozenset[str]:
        return frozenset({self.code, self.title, self.file, self.tag, self.section})

    def as_markdown(self) -> bytes:
        return f"# {self.section}\n\n{self.sentence}\n".encode()

    def as_pdf(self) -> bytes:
        """Return a one-page PDF in a standard font."""
        lines = f"BT /F1 12 Tf 60 780 Td ({self.section}) Tj 0 -40 Td ({self.sentence}) Tj ET"
        return _pdf(
            "<< /Type /Catalog /Pages 2 0 R >>",
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
            "/Resources << /Font << /F1 5 0 R >> >> >>",
            f"<< /Length {len(lines)} >>\nstream\n{lines}\nendstream",
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        )


def _pdf(*objects: str) -> bytes:
    body, offsets = "%PDF-1.4\n", []
    for at, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += f"{at} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    end = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return f"{body}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode("ascii")


@dataclass(frozen=True, slots=True)
class Person:
    """A person. `key` authenticates requests. `sees_narrowed`: may also read the restricted document of the
    shared knowledge base. `is_insider`: the insider's own account with another key.
    """

    name: str
    user: User
    key: str
    may_sign_in: bool = True
    sees_narrowed: bool = False

    @property
    def is_insider(self) -> bool:
        return self.sees_narrowed


@dataclass(frozen=True, slots=True)
class Planted:
    """Canaries. `closed` is for the insider only; `shared` has readers who may not read its documents
    `narrowed` and `synced`. A source decides who may read the latter.

    `insider` has access to everything: content that even they do not find proves nothing.
    """

    closed: KnowledgeBase
    closed_word: str
    shared: KnowledgeBase
    plain: Canary
    pictured: Canary
    secret: Canary
    followed: Canary
    documents: tuple[Document, ...]
    narrowed: Document
    synced: Document
    insider: Person
    outsiders: tuple[Person, ...]

    @property
    def everything(self) -> tuple[Document, ...]:
        return (*self.documents, self.narrowed, self.synced)

    @property
    def canaries(self) -> tuple[Canary, ...]:
        return self.plain, self.pictured, self.secret, self.followed

    def list_hidden_canaries(self, person: Person) -> tuple[tuple[Canary, KnowledgeBase, Document], ...]:
        """Return canaries the person may not see, with knowledge base and document."""
        first, second = self.documents
        hidden = (self.plain, self.closed, first), (self.pictured, self.closed, second)
        if person.sees_narrowed:
            return hidden
        restricted = (self.secret, self.narrowed), (self.followed, self.synced)
        return *hidden, *((canary, self.shared, document) for canary, document in restricted)


@contextmanager
def plant_canaries(check: AccessCheck) -> Iterator[Planted]:
    """Create canaries, and remove all objects of checks before and after."""
    with mark_events_of_check(check.id):
        remove_all_artifacts()
        try:
            yield _Planting(check, f"access-check-{secrets.token_hex(4)}").plant()
        finally:
            remove_all_artifacts()


@dataclass(frozen=True, slots=True)
class _Planting:
    """Creates canaries. `name` is a prefix of all names, for people; removal uses the list of artifacts."""

    check: AccessCheck
    name: str

    def plant(self) -> Planted:
        insider = self._person("insider", sees_narrowed=True)
        principal = principal_for_user(insider.user)
        closed_word = word()
        closed, shared = self._base(closed_word, principal), self._base("shared", principal)
        plain, pictured, secret, followed = Canary(), Canary(), Canary(), Canary()
        documents = (
            _upload(closed, principal, plain, "md", plain.as_markdown()),
            _upload(closed, principal, pictured, "pdf", pictured.as_pdf()),
        )
        readers = [f"user:{insider.user.id}"]
        narrowed = _upload(shared, principal, secret, "md", secret.as_markdown(), readers=readers)
        outsiders = tuple(self._outsiders(closed, shared, insider))
        synced = self._upload_synced(shared, principal, followed, insider, outsiders)
        return Planted(
            closed, closed_word, shared, plain, pictured, secret, followed, documents, narrowed, synced,
            insider, outsiders,
        )  # fmt: skip

    def _upload_synced(
        self,
        base: KnowledgeBase,
        principal: Principal,
        canary: Canary,
        insider: Person,
        outsiders: Sequence[Person],
    ) -> Document:
        """Upload a document whose source allows a group of all people, except that one group is denied."""
        with transaction.atomic():
            source = create_source(self.check)
            others = [str(person.user.id) for person in outsiders if not person.is_insider]
            _plant_people(source, [insider, *outsiders], others, principal)
            document = _upload(base, principal, canary, "md", canary.as_markdown(), readers=[])
            everybody, denied = AccessEntry(_EVERYBODY), AccessEntry(_DENIED, allow=False)
            set_source_access(source, {document.id: SourceAccess(((everybody,), (denied, everybody)))})
        return document

    def _outsiders(self, closed: KnowledgeBase, shared: KnowledgeBase, insider: Person) -> Iterator[Person]:
        yield self._person("outsider")
        yield self._create_person_with_role("reader", shared, Role.READER, insider)
        yield self._create_person_with_role("editor", shared, Role.EDITOR, insider)
        yield self._create_revoked_reader(closed, insider)
        yield self._create_expelled_member(closed, insider)
        yield self._create_disabled_reader(closed, insider)
        _, key = api_key_create(
            user=insider.user,
            label=self.name,
            knowledge_bases=[shared.id],
            expires_at=timezone.now() + KEY_LIFE,
        )
        yield Person("limited key", insider.user, key, may_sign_in=False, sees_narrowed=True)

    def _person(self, name: str, *, may_sign_in: bool = True, sees_narrowed: bool = False) -> Person:
        user = create_user(self.check, f"{self.name}-{name.replace(' ', '-')}")
        limit_lift(user)
        _, key = api_key_create(user=user, label=self.name, expires_at=timezone.now() + KEY_LIFE)
        return Person(name, user, key, may_sign_in, sees_narrowed)

    def _base(self, name: str, principal: Principal) -> KnowledgeBase:
        """Create an official knowledge base, so that it is searched like any other."""
        name = f"{self.name} {name}"
        return create_knowledge_base(self.check, name, replace(principal, is_admin=True))

    def _create_person_with_role(self, name: str, base: KnowledgeBase, role: Role, insider: Person) -> Person:
        person, principal = self._person(name), principal_for_user(insider.user)
        grant_give(knowledge_base=base, subject=f"user:{person.user.id}", role=role, principal=principal)
        return person

    def _create_revoked_reader(self, base: KnowledgeBase, insider: Person) -> Person:
        person = self._create_person_with_role("revoked reader", base, Role.READER, insider)
        insider_grant, principal = (f"user:{insider.user.id}", Role.MANAGER), principal_for_user(insider.user)
        grants_replace(knowledge_base=base, grants=[insider_grant], principal=principal)
        return person

    def _create_expelled_member(self, base: KnowledgeBase, insider: Person) -> Person:
        person, principal = self._person("expelled member"), principal_for_user(insider.user)
        group = create_group(self.check, f"{self.name} members", person.user)
        group.managers.add(insider.user)  # who may therefore give it access
        grant_give(knowledge_base=base, subject=f"group:{group.id}", role=Role.READER, principal=principal)
        group_update(group, members=())
        return person

    def _create_disabled_reader(self, base: KnowledgeBase, insider: Person) -> Person:
        person = self._create_person_with_role("disabled reader", base, Role.READER, insider)
        return replace(person, user=user_update(person.user, is_active=False))


def _plant_people(
    source: UUID, people: Sequence[Person], denied: Sequence[str], principal: Principal
) -> None:
    users = {str(person.user.id): person.user for person in people}
    groups = SourceGroup(_EVERYBODY, _EVERYBODY, tuple(users)), SourceGroup(_DENIED, _DENIED, tuple(denied))
    found: list[SourcePerson | SourceGroup] = [*(SourcePerson(name, name) for name in users), *groups]
    replace_source_people(source, found, directory="", match_email=False)
    for subject in SourceSubject.objects.filter(source=source, kind=SubjectKind.PERSON):
        link_source_person(subject, users[subject.external_id], principal)


def _upload(
    base: KnowledgeBase,
    principal: Principal,
    canary: Canary,
    suffix: str,
    content: bytes,
    readers: list[str] | None = None,
) -> Document:
    name = f"{canary.file}.{suffix}"
    return document_submit(
        Upload(
            SimpleUploadedFile(name, content),
            name,
            title=canary.title,
            metadata={"tags": [canary.tag]},
            readers=readers,
        ),
        knowledge_base=base,
        principal=principal,
    ).document
