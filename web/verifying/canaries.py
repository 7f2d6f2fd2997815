"""Documents that hold made-up words, and people who may or may not read them."""

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.services import grant_give, grants_replace, knowledge_base_create
from cairn.accounts.models import CANARIES, Group, User
from cairn.accounts.services import api_key_create, user_create
from cairn.errors import CairnError, NotFound
from cairn.library.models import Document, KnowledgeBase
from cairn.limits.services import limit_lift
from ingestion.services import document_submit, knowledge_base_delete

log = logging.getLogger(__name__)

PREFIX: Final = CANARIES
KEY_LIFE: Final = timedelta(minutes=30)
_SYLLABLES: Final = tuple(a + b for a in "bdfgklmnprstvz" for b in "aeiou")


def word() -> str:
    """A word that no document holds: 6 syllables of 70 are 36 bits."""
    return "".join(secrets.choice(_SYLLABLES) for _ in range(6))


def number() -> str:
    return str(secrets.randbelow(9 * 10**9) + 10**9)


@dataclass(frozen=True, slots=True)
class Canary:
    """`handle` is what is asked for; of `hidden` nothing may come back to who may not read it."""

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
        """One page in a font that every reader has."""
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
    """`key` is what they send. `sees_narrowed`: of the shared knowledge base also the narrowed document.
    `is_insider`: the insider's own account, through another key."""

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
    """`closed` is for the insider alone; `shared` has readers, but its document `narrowed` is closed to them.

    `insider` sees all of it: what even they do not find proves nothing.
    """

    closed: KnowledgeBase
    closed_word: str
    shared: KnowledgeBase
    plain: Canary
    pictured: Canary
    secret: Canary
    documents: tuple[Document, ...]
    narrowed: Document
    insider: Person
    outsiders: tuple[Person, ...]

    @property
    def everything(self) -> tuple[Document, ...]:
        return (*self.documents, self.narrowed)

    def closed_to(self, person: Person) -> tuple[tuple[Canary, KnowledgeBase, Document], ...]:
        """Each canary that the person may not see, where it is, and the document that holds it."""
        first, second = self.documents
        hidden = (self.plain, self.closed, first), (self.pictured, self.closed, second)
        return hidden if person.sees_narrowed else (*hidden, (self.secret, self.shared, self.narrowed))

    def delete(self) -> None:
        principal = principal_for_user(self.insider.user)
        for base in (self.closed, self.shared):
            knowledge_base_delete(knowledge_base=base, principal=principal)


@contextmanager
def planted() -> Iterator[Planted]:
    """Taken away again at the end, as anything is that is deleted."""
    remove_stale()
    run = f"{PREFIX}{secrets.token_hex(4)}"
    with ExitStack() as undo:
        yield _Planting(run, undo).plant()


@dataclass(frozen=True, slots=True)
class _Planting:
    run: str
    undo: ExitStack

    def plant(self) -> Planted:
        insider = self._person("insider", sees_narrowed=True)
        principal = principal_for_user(insider.user)
        closed_word = word()
        closed, shared = self._base(closed_word, principal), self._base("shared", principal)
        plain, pictured, secret = Canary(), Canary(), Canary()
        documents = (
            _upload(closed, principal, plain, "md", plain.as_markdown()),
            _upload(closed, principal, pictured, "pdf", pictured.as_pdf()),
        )
        readers = [f"user:{insider.user.id}"]
        narrowed = _upload(shared, principal, secret, "md", secret.as_markdown(), readers=readers)
        return Planted(
            closed, closed_word, shared, plain, pictured, secret, documents, narrowed,
            insider, tuple(self._outsiders(closed, shared, insider)),
        )  # fmt: skip

    def _outsiders(self, closed: KnowledgeBase, shared: KnowledgeBase, insider: Person) -> Iterator[Person]:
        yield self._person("outsider")
        yield self._granted("reader", shared, Role.READER, insider)
        yield self._granted("editor", shared, Role.EDITOR, insider)
        yield self._revoked(closed, insider)
        yield self._expelled(closed, insider)
        yield self._disabled(closed, insider)
        _, key = api_key_create(
            user=insider.user,
            label=self.run,
            knowledge_bases=[shared.id],
            expires_at=timezone.now() + KEY_LIFE,
        )
        yield Person("limited key", insider.user, key, may_sign_in=False, sees_narrowed=True)

    def _person(self, name: str, *, may_sign_in: bool = True, sees_narrowed: bool = False) -> Person:
        user = user_create(username=f"{self.run}-{name.replace(' ', '-')}")
        self.undo.callback(_quietly, lambda: User.objects.filter(pk=user.pk).delete())
        limit_lift(user)
        _, key = api_key_create(user=user, label=self.run, expires_at=timezone.now() + KEY_LIFE)
        return Person(name, user, key, may_sign_in, sees_narrowed)

    def _base(self, name: str, principal: Principal) -> KnowledgeBase:
        base = knowledge_base_create(name=f"{self.run} {name}", principal=principal)
        self.undo.callback(_quietly, lambda: knowledge_base_delete(knowledge_base=base, principal=principal))
        return base

    def _granted(self, name: str, base: KnowledgeBase, role: Role, insider: Person) -> Person:
        person, principal = self._person(name), principal_for_user(insider.user)
        grant_give(knowledge_base=base, subject=f"user:{person.user.id}", role=role, principal=principal)
        return person

    def _revoked(self, base: KnowledgeBase, insider: Person) -> Person:
        person = self._granted("revoked reader", base, Role.READER, insider)
        kept, principal = (f"user:{insider.user.id}", Role.MANAGER), principal_for_user(insider.user)
        grants_replace(knowledge_base=base, grants=[kept], principal=principal)
        return person

    def _expelled(self, base: KnowledgeBase, insider: Person) -> Person:
        person, principal = self._person("expelled member"), principal_for_user(insider.user)
        group = Group.objects.create(name=f"{self.run} members")
        self.undo.callback(_quietly, group.delete)
        group.managers.add(insider.user)  # who may therefore give it access
        group.members.add(person.user)
        grant_give(knowledge_base=base, subject=f"group:{group.id}", role=Role.READER, principal=principal)
        group.members.remove(person.user)
        return person

    def _disabled(self, base: KnowledgeBase, insider: Person) -> Person:
        person = self._granted("disabled reader", base, Role.READER, insider)
        User.objects.filter(pk=person.user.pk).update(is_active=False)
        return person


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
        knowledge_base=base,
        file=SimpleUploadedFile(name, content),
        filename=name,
        principal=principal,
        title=canary.title,
        metadata={"tags": [canary.tag]},
        readers=readers,
    ).document


def remove_stale() -> None:
    """What a check that was killed has left behind."""
    for admin in User.objects.filter(is_admin=True, is_active=True)[:1]:
        for base in KnowledgeBase.objects.filter(slug__startswith=PREFIX, deleted_at=None):
            _quietly(partial(knowledge_base_delete, knowledge_base=base, principal=principal_for_user(admin)))
    User.objects.filter(username__startswith=PREFIX, created_at__lt=timezone.now() - KEY_LIFE).delete()
    Group.objects.filter(name__startswith=PREFIX).delete()


def _quietly(remove: Callable[[], object]) -> None:
    """One thing that cannot be removed must not keep the others."""
    try:
        remove()
    except NotFound:
        pass  # gone already
    except CairnError as error:
        log.warning("a canary was not removed: %s", error.message)
