"""One object of each kind for the routes' parameters, and the actors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from cairn.access.models import AccessCheck, CheckState, Grant, Role, SourceSubject, SubjectKind
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.services import grant_give, knowledge_base_create
from cairn.accounts.models import Group, KeyScope, User
from cairn.accounts.services import api_key_create, api_key_revoke, user_create
from cairn.library.models import Document, KnowledgeBase
from cairn.library.rendition import Element, Rendition
from cairn.library.storage import rendition_save
from cairn.settings.stored.models import RegisteredModel
from ingestion.documents.conversation_files import file_attach
from ingestion.documents.resumable_uploads import upload_open
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from ingestion.imports.services import import_open
from ingestion.models import Job, Receipt, SourceItem, SourceVerification, VerificationState, Watch
from ingestion.parse.page_images import PDF, WIDTH
from ingestion.sources.services import source_create
from retrieval.assistants.services import assistant_create
from retrieval.conversations.folders import folder_create
from retrieval.conversations.services import conversation_start
from retrieval.conversations.shares import share_put
from retrieval.conversations.undo import conversation_delete_restorably
from retrieval.conversations.usage_policy.models import UsageRule
from retrieval.engine import Engine
from retrieval.evaluation.gold_file import Kind
from retrieval.evaluation.models import EvaluationRun, GoldQuestion, ModelComparison, RedTeamRun, TrialState
from retrieval.gaps.clusters import base_key
from retrieval.gaps.models import Gap, GapQuestion, Notice, NoticeKind, Why
from retrieval.models import (
    ABTest,
    ABTestState,
    Citation,
    Conversation,
    GenerationState,
    IndexGeneration,
    Message,
)
from tests.bases import let_create, make_base
from tests.principals import SETUP
from tests.sources_kind import PASSWORD
from tests.web.api.conftest import indexed
from tests.web.security.guards import Actor
from web.http.authentication import VIEWED

SECRET = "The Umbra merger closes on 14 June."
"""Stands in the document, its title and the conversation: nobody who is turned away may read it."""
PEOPLE = ("nobody", "reader", "editor", "manager", "gone", "creator")
ALL_SCOPES = frozenset(KeyScope.values)


@dataclass(frozen=True, slots=True)
class Ticket:
    """How an actor authenticates: with a session, a key, or nothing."""

    actor: Actor
    session: str = ""
    key: str = ""

    def come(self, client: Client) -> Client:
        """Use only these cookies, whatever was signed out before."""
        client.cookies.clear()
        if self.session:
            client.cookies[settings.SESSION_COOKIE_NAME] = self.session
        return client

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


@dataclass(frozen=True, slots=True)
class World:
    """`things`: by the names of the routes' parameters."""

    things: dict[str, str]
    tickets: Sequence[Ticket]

    def ticket(self, name: str) -> Ticket:
        [found] = [ticket for ticket in self.tickets if ticket.actor.name == name]
        return found


def world_made(parts: Engine) -> World:
    names = ("nobody", "stranger", "reader", "editor", "manager", "gone", "creator")
    people = {name: user_create(username=name) for name in names}
    admin = user_create(username="admin", is_admin=True)
    let_create(people["creator"])
    for user in (*people.values(), admin):
        user.password = "no hash of anything"  # to have one, without the time that hashing takes
        user.save()
    manager = principal_for_user(people["manager"])
    base = make_base(name="Handbook", principal=manager)
    other = knowledge_base_create(name="Elsewhere", principal=principal_for_user(admin))
    stranger = f"user:{people['stranger'].id}"
    grant_give(knowledge_base=other, subject=stranger, role=Role.READER, principal=SETUP)
    for name in ("reader", "editor"):
        grant_give(knowledge_base=base, subject=f"user:{people[name].id}", role=Role(name), principal=SETUP)
    grant_give(knowledge_base=base, subject=f"user:{people['gone'].id}", role=Role.MANAGER, principal=SETUP)
    return World(_things(base, manager, parts), _tickets(people, admin, other))


def _tickets(people: dict[str, User], admin: User, other: KnowledgeBase) -> list[Ticket]:
    administers: dict[str, Any] = {"role": Role.MANAGER, "is_admin": True}
    manages: dict[str, Any] = {"role": Role.MANAGER, "owns": True}
    past = timezone.now() - timedelta(minutes=1)
    found = [
        Ticket(Actor("anonymous", known=False)),
        Ticket(Actor("without a grant"), _session(people["nobody"])),
        Ticket(Actor("reader of another"), _session(people["stranger"])),
        Ticket(Actor("creator", creates=True), _session(people["creator"])),
        _scoped("creator", people["creator"], "manage", creates=True),
        Ticket(Actor("reader", role=Role.READER), _session(people["reader"])),
        Ticket(Actor("editor", role=Role.EDITOR), _session(people["editor"])),
        Ticket(Actor("manager", **manages), _session(people["manager"])),
        Ticket(Actor("admin", **administers), _session(admin)),
        Ticket(Actor("disabled", known=False), _session(people["gone"])),
        Ticket(Actor("disabled, by key", known=False), key=_key(people["gone"])),
        Ticket(
            Actor("admin viewing as reader", role=Role.READER, viewing=True),
            _session(admin, **{VIEWED: str(people["reader"].id)}),
        ),
        *(_scoped("manager", people["manager"], scope, **manages) for scope in KeyScope.values),
        *(_scoped("admin", admin, scope, **administers) for scope in KeyScope.values),
        Ticket(
            Actor("admin's key for elsewhere", key=True, scopes=ALL_SCOPES, limited=True, **administers),
            key=_key(admin, knowledge_bases=[other.id]),
        ),
        Ticket(Actor("expired key", known=False), key=_key(admin, expires_at=past)),
        Ticket(Actor("revoked key", known=False), key=_revoked(admin)),
        Ticket(Actor("made-up key", known=False), key="cairn_00000000_made-up"),
    ]
    User.objects.filter(pk=people["gone"].pk).update(is_active=False)
    return found


def _scoped(name: str, user: User, scope: str, **more: Any) -> Ticket:
    actor = Actor(f"{name}'s key: {scope}", key=True, scopes=frozenset({scope}), **more)
    return Ticket(actor, key=_key(user, scopes=[scope]))


def _session(user: User, **kept: str) -> str:
    client = Client()
    client.force_login(user)
    session = client.session
    session.update(kept)
    session.save()
    return str(session.session_key)


def _key(user: User, **restriction: Any) -> str:
    return api_key_create(user=user, label="matrix", **restriction)[1]


def _revoked(user: User) -> str:
    row, key = api_key_create(user=user, label="matrix")
    api_key_revoke(user=user, key_id=row.id)
    return key


def _things(base: KnowledgeBase, manager: Principal, parts: Engine) -> dict[str, str]:
    document = _document(base, manager, parts)
    message = _message(document, manager)
    one = user_create(username="una")
    key, _ = api_key_create(user=User.objects.get(pk=manager.user), label="spare")
    run = EvaluationRun.objects.create(
        knowledge_base=base, name="run", gold_name="gold", gold_sha256="a" * 64, questions=0, right=0
    )
    gold = GoldQuestion.objects.create(
        knowledge_base=base, question=SECRET, kind=Kind.UNANSWERABLE, created_by_id=manager.user
    )
    return {
        "pk": "1",
        "provider_id": "nobody",
        "organization_slug": "nobody",
        "user_id": str(one.id),
        "group_id": str(Group.objects.create(name="Finance").id),
        "team_id": str(Group.objects.create(name="Finance", source="scim").id),
        "schema": "urn:ietf:params:scim:schemas:core:2.0:User",
        "resource_type": "User",
        "key_id": str(key.id),
        "knowledge_base_id": str(base.id),
        "slug": base.slug,
        "model": f"cairn/{base.slug}",
        "document_id": str(document.id),
        "receipt_id": str(Receipt.objects.create(object="document:1", requested_by_id=manager.user).id),
        "import_id": str(import_open(knowledge_base=base, label="drive", user=manager.user).id),
        "upload_id": str(_partial_upload(base, manager)),
        "watch_id": str(Watch.objects.create(knowledge_base=base, path="/srv/drive").id),
        **_source(base, manager),
        "kind": "shelf",
        "job_id": str(Job.objects.get(version__document=document).id),
        "check_id": str(AccessCheck.objects.create(state=CheckState.PASSED).id),
        "red_team_run_id": str(RedTeamRun.objects.create(model=SECRET, total=1, state=TrialState.DONE).id),
        "comparison_id": str(_comparison(base)),
        "generation_id": str(_generation()),
        "assistant_id": str(_assistant(base, manager)),
        "rule_id": str(UsageRule.objects.create(name=SECRET, phrases=[SECRET], reply=SECRET).id),
        "conversation_id": str(message.conversation_id),
        "file_id": str(_attached_file(message.conversation, manager)),
        "folder_id": str(folder_create(user=manager.user, name=SECRET).id),
        "deleted_id": str(_deleted_conversation(manager)),
        "message_id": str(message.id),
        "share_id": str(_share(message)),
        "evaluation_id": str(run.id),
        "run_id": str(run.id),
        "gold_question_id": str(gold.id),
        "question_id": str(gold.id),
        **_gaps(base, message),
        "page": "1",
        "after": "0",
        "code": "no_text",
        "section": "branding",
        "provider": "new",
        "name": _registered_model(),
        "rest": "no/such/address",
    }


def _registered_model() -> str:
    """Create a tested model whose server is unreachable, with an A/B test that has ended."""
    row = RegisteredModel.objects.create(
        name="mistral",
        base_url="http://127.0.0.1:9/v1",
        model="mistral",
        licence="mit",
        measured_at=timezone.now(),
    )
    ABTest.objects.create(
        candidate=row, candidate_model="mistral", active_model=SECRET, percent=10, max_answers=1000,
        state=ABTestState.STOPPED, ended_at=timezone.now(),
    )  # fmt: skip
    return row.name


def _comparison(base: KnowledgeBase) -> object:
    names = {"first": SECRET, "first_model": SECRET, "second": "other", "second_model": "other"}
    return ModelComparison.objects.create(knowledge_base=base, state=TrialState.DONE, **names).id


def _source(base: KnowledgeBase, owner: Principal) -> dict[str, str]:
    """Create a source of the kind in `tests.sources_kind`, with a failed item and a person without an
    account."""
    options = {"url": "https://shelf.example.org", "username": "cairn", "password": PASSWORD}
    row = source_create(knowledge_base=base, kind="shelf", name=SECRET, options=options, principal=owner)
    SourceItem.objects.create(
        source=row, external_id="1", name="umbra.md", uri="shelf://umbra.md", version="1",
        container="board", size=12_000, error=SECRET,
    )  # fmt: skip
    person = SourceSubject.objects.create(
        source=row.id, external_id="S-1-5-21-1", kind=SubjectKind.PERSON, name=SECRET, email="u@example.org"
    )
    SourceVerification.objects.create(source=row, state=VerificationState.PASSED, ended_at=timezone.now())
    return {"source_id": str(row.id), "person_id": str(person.pk)}


def _partial_upload(base: KnowledgeBase, owner: Principal) -> object:
    """Create a partial upload of one missing byte."""
    options = {"title": SECRET}
    return upload_open(knowledge_base=base, principal=owner, filename="umbra.md", size=1, options=options).id


def _gaps(base: KnowledgeBase, message: Message) -> dict[str, str]:
    """Create one gap with the message as its only question, and one that it may be merged into."""
    gap, other = (Gap.objects.create(base_key=base_key([base.id])) for _ in range(2))
    for each in (gap, other):
        each.knowledge_bases.add(base)
    asked = GapQuestion.objects.create(message=message, gap=gap, why=Why.DOWN, bases=[str(base.id)])
    spare = Message.objects.create(conversation=message.conversation, question=SECRET)
    GapQuestion.objects.create(message=spare, gap=other, why=Why.DOWN, bases=[str(base.id)])
    user = message.conversation.user_id
    notice = Notice.objects.create(user_id=user, kind=NoticeKind.ANSWERED, gap=gap, message=message)
    return {
        "gap_id": str(gap.id),
        "other_gap_id": str(other.id),
        "asked_id": str(asked.id),
        "notice_id": str(notice.id),
    }


def _document(base: KnowledgeBase, manager: Principal, parts: Engine) -> Document:
    """A PDF of one page, ready; its picture is drawn already."""
    file = SimpleUploadedFile("umbra.pdf", b"%PDF-1.7")
    submitted = document_submit(
        Upload(file, "umbra.pdf", title=SECRET), knowledge_base=base, principal=manager
    )
    document = submitted.document
    indexed(document, parts, SECRET)
    version = document.active_version
    assert version is not None
    element = Element(index=0, category="Paragraph", text=SECRET)
    version.rendition = rendition_save(version.id, Rendition((element,)))
    version.media_type, version.pages = PDF, 1
    version.save()
    default_storage.save(f"pages/{version.id}/1-{WIDTH}.png", ContentFile(b"picture"))
    return document


def _message(document: Document, owner: Principal) -> Message:
    conversation = conversation_start(principal=owner, question=SECRET)
    message = Message.objects.create(
        conversation=conversation, question=SECRET, answer=f"{SECRET} [1]", state="done", verdict="supported"
    )
    version = document.active_version_id
    assert version is not None
    Citation.objects.create(
        message=message,
        marker=1,
        document=document,
        version=version,
        chunk=version,
        title=SECRET,
        quote=SECRET,
    )
    return message


def _attached_file(conversation: Conversation, owner: Principal) -> object:
    upload = Upload(SimpleUploadedFile("umbra.md", SECRET.encode()), "umbra.md")
    return file_attach(upload, conversation=conversation, principal=owner).document.id


def _deleted_conversation(owner: Principal) -> object:
    conversation = conversation_start(principal=owner, question=SECRET)
    identity = conversation.id
    conversation_delete_restorably(conversation=conversation, actor=owner.actor)
    return identity


def _assistant(base: KnowledgeBase, creator: Principal) -> object:
    """Create an assistant for the readers and editors of the knowledge base."""
    readers = Grant.objects.filter(knowledge_base=base, user__isnull=False)
    return assistant_create(
        principal=creator,
        name=SECRET,
        instructions=SECRET,
        knowledge_bases=[str(base.id)],
        subjects=[grant.subject for grant in readers],
    ).id


def _share(message: Message) -> object:
    """Create a share addressed to somebody who is not among the actors."""
    reader = user_create(username="sheila")
    actor = message.conversation.user_id
    share_put(conversation=message.conversation, message=message, subjects=[f"user:{reader.id}"], actor=actor)
    return share_put(
        conversation=message.conversation, subjects=[f"user:{reader.id}"], actor=message.conversation.user_id
    ).id


def _generation() -> object:
    return IndexGeneration.objects.create(
        name="spare", embedding_model="spare", dimension=8, state=GenerationState.BUILDING
    ).id
