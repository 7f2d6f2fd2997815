"""Data without a REST route: answers of every kind, checks, second factors and open sessions.

`python -m tests.tour.people` in the DATA_DIR of a server: reads what `tests.tour.library` made from its
input, and writes what it made itself.
"""

import json
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from allauth.account.internal.flows.login import (
    AUTHENTICATION_METHODS_SESSION_KEY,
    record_authentication,
)
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.conf import settings
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

from cairn.access.models import AccessCheck, CheckState, SourceSubject, SubjectKind
from cairn.access.principals import principal_for_user
from cairn.accounts.models import User
from cairn.accounts.services import api_key_create
from cairn.library.models import Chunk, Document, KnowledgeBase
from cairn.settings.stored.sections import SignIn
from ingestion.models import SourceItem, SourceReaders, SourceSchedule
from ingestion.sources.services import source_create
from retrieval.conversations.shares import share_put
from retrieval.evaluation.models import RedTeamRun, TrialState
from retrieval.evaluation.red_team import SUITE_VERSION
from retrieval.gaps.clusters import base_key
from retrieval.gaps.models import Gap, GapQuestion, Why
from retrieval.models import Citation, Conversation, Message
from web.configuration.services import section_change

FAILED_STATES = ("400.html", "403_csrf.html", "429.html", "500.html", "503.html")
TITLES = (
    "Days that may be carried over",
    "Meals on journeys",
    "Who signs for a laptop of 2,500 euros?",
    "Parental leave",
)
ANSWER = """At most **42 hours** of annual leave in each calendar year [1]. Both sides agree in writing [1].

For journeys there is another rule:

- meals are paid for with a flat rate [2]
- receipts are handed in within a month [2]

| Kind | Days |
| --- | --- |
| Annual leave | 30 |
| Moving house | 1 |
"""
LONG = "Ask me about everything that has to do with leave, and about what to do when somebody is ill. " * 12


def main() -> None:
    made = json.load(sys.stdin)
    admin = User.objects.get(username="admin")
    documents = {
        name: Document.objects.get(pk=value) for name, value in made["documents"].items() if name != "import"
    }
    conversation, message = _talk(admin, documents)
    _earlier(admin)
    _checks(admin)
    run = _red_team_run(admin)
    una = User.objects.get(username="una")
    passkey = _second_factor(una)
    key, _ = api_key_create(user=admin, label="Nightly report", scopes=["search", "ask"])
    json.dump(
        {
            "conversation_id": str(conversation.id),
            "red_team_run_id": str(run.id),
            "message_id": str(message.id),
            "share_id": str(share_put(conversation=conversation, subjects=["everyone"], actor=admin.id).id),
            "gap_id": str(_gap(made["knowledge_base_id"], conversation).id),
            "key_id": str(key.id),
            "source_id": str(_source(made["knowledge_base_id"], admin, documents["leave.md"])),
            "provider": _identity_provider(),
            "kind": "webdav",
            "pk": str(passkey.pk),
            "cookie": settings.SESSION_COOKIE_NAME,
            "sessions": {user.username: _session(user) for user in User.objects.all()},
            "failures": {name.removesuffix(".html"): render_to_string(name) for name in FAILED_STATES},
        },
        sys.stdout,
    )


def _source(base: str, admin: User, document: Document) -> UUID:
    """Create a source whose last listing failed, with a document of each state, and people."""
    row = source_create(
        knowledge_base=KnowledgeBase.objects.get(pk=base),
        kind="webdav",
        name="Handbook in the cloud",
        options={"url": "https://cloud.example.org/dav/", "username": "cairn", "password": "secret"},
        readers=SourceReaders.EVERYONE,
        enabled=False,
        principal=principal_for_user(admin),
    )
    now = timezone.now()
    SourceSchedule.objects.filter(source=row).update(
        requested_at=None, finished_at=now, succeeded_at=now - timedelta(hours=3), failures=2,
        error="cloud.example.org doesn’t answer.", result={"items": 1200, "submitted": 12, "failed": 2},
    )  # fmt: skip
    for name, error, of in (
        ("leave.md", "", document),
        ("minutes-of-the-board-of-2026-in-a-very-long-name-without-any-space-at-all.docx", "Locked.", None),
        ("film.mp4", "Files of this type can’t be read.", None),
    ):
        SourceItem.objects.create(
            source=row, external_id=name, name=name, uri=f"https://cloud.example.org/dav/{name}", version="1",
            synced_version="1" if of else "", container="staff/handbook", size=12_000, error=error,
            document=of,
        )  # fmt: skip
    for name, user in (("Rob Roe", None), ("Una Unger", admin)):
        SourceSubject.objects.create(
            source=row.pk, external_id=f"S-1-5-21-{name}", kind=SubjectKind.PERSON, name=name, user=user,
            email=f"{name[:3].lower()}@example.org", link="manual" if user else "",
        )  # fmt: skip
    return row.pk


def _talk(user: User, documents: Mapping[str, Document]) -> tuple[Conversation, Message]:
    """Create a conversation with an answer of each kind; the first is supported by two documents."""
    conversation = Conversation.objects.create(user=user, title="How many hours of leave may be donated?")
    first = _said(
        conversation,
        "How many hours of annual leave may employees donate to a colleague in a year?",
        ANSWER,
        verdict="supported", mode="generated", rating="up",
    )  # fmt: skip
    _cited(first, 1, documents["leave.md"], "42 hours")
    _cited(first, 2, documents["travel.pdf"], "flat rate")
    claim = "It is usually granted within a week."
    partial = _said(
        conversation, "And to whom?", f"To a colleague; both sides agree in writing [1]. {claim}",
        standalone_question="To whom may annual leave be donated?", verdict="partial", mode="generated",
        reason="One sentence isn’t supported by a source.",
        sentences=[{"text": claim, "supported": False, "markers": []}],
    )  # fmt: skip
    _cited(partial, 1, documents["leave.md"], "42 hours")
    nearest = [{"document": str(documents["security.md"].id), "title": documents["security.md"].title}]
    _said(
        conversation, "What does the canteen offer on Fridays?", "", verdict="refused",
        reason="No passage is about the canteen.", nearest=nearest,
    )  # fmt: skip
    _said(conversation, LONG, "Leave is asked for in the portal", state="stopped")
    _said(conversation, "Who may work from abroad?", "", state="failed", reason="The model does not answer.")
    return conversation, first


def _said(conversation: Conversation, question: str, answer: str, **more: Any) -> Message:
    """Create a message after the previous one, unless another parent is given."""
    values = {"state": "done", "standalone_question": question, "parent": conversation.current, **more}
    message = Message.objects.create(conversation=conversation, question=question, answer=answer, **values)
    conversation.current = message
    conversation.save(update_fields=["current"])
    return message


def _cited(message: Message, marker: int, document: Document, words: str) -> None:
    version = document.active_version
    assert version is not None
    chunk = Chunk.objects.filter(version=version, text__contains=words).first()
    assert chunk is not None, f"no passage of {document.title} has the words {words}"
    sentence = next(each for each in chunk.text.replace("\n", " ").split(". ") if words in each)
    Citation.objects.create(
        message=message, marker=marker, document=document, version=version.id, chunk=chunk.id,
        page=chunk.page, title=document.title, section=chunk.section, quote=sentence,
        boxes=[[0.04, 0.03, 0.75, 0.055]],
        location=f"Page {chunk.page}" if chunk.page else "",
    )  # fmt: skip


def _gap(base: str, conversation: Conversation) -> Gap:
    """Turn the refused question into a gap."""
    gap = Gap.objects.create(base_key=base_key([UUID(base)]))
    gap.knowledge_bases.add(base)
    refused = Message.objects.get(conversation=conversation, verdict="refused")
    GapQuestion.objects.update_or_create(
        message=refused, defaults={"gap": gap, "why": Why.REFUSED, "bases": [base]}
    )
    return gap


def _earlier(user: User) -> None:
    for days, title in enumerate(TITLES):
        conversation = Conversation.objects.create(user=user, title=title)
        _said(conversation, title, "", verdict="refused", reason="No passage is about it.")
        Conversation.objects.filter(pk=conversation.pk).update(
            updated_at=timezone.now() - timedelta(days=3 * days)
        )


def _checks(user: User) -> None:
    ended = timezone.now()
    AccessCheck.objects.create(state=CheckState.FAILED, error="The server went away.", ended_at=ended)
    AccessCheck.objects.create(
        state=CheckState.PASSED, probes=642, spots=40, requested_by=user, ended_at=ended
    )


def _red_team_run(user: User) -> RedTeamRun:
    withstood = {"withstood": True, "failures": [], "refused": True, "text": ""}
    obeyed = {"withstood": False, "failures": ["unwanted_text"], "refused": False, "text": "Sunflower " * 60}
    result = {
        "id": "injection-joined-word",
        "category": "injection",
        "language": "en",
        "question": "When is the canteen open?",
        "answer": withstood,
        "model": obeyed,
    }
    return RedTeamRun.objects.create(
        state=TrialState.DONE,
        model="smollm2-135m",
        total=1,
        suite_version=SUITE_VERSION,
        results=[result],
        requested_by=user,
        ended_at=timezone.now(),
    )


def _second_factor(user: User) -> Authenticator:
    TOTP.activate(user, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    RecoveryCodes.activate(user)
    return Authenticator.objects.create(user=user, type=Authenticator.Type.WEBAUTHN, data=_passkey())


def _passkey() -> dict[str, Any]:
    """Return the response of an authenticator."""
    public = ES256({1: 2, 3: -7, -1: 1, -2: b"x" * 32, -3: b"y" * 32})
    credential = AttestedCredentialData.create(b"\0" * 16, uuid4().bytes, public)
    flags = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.AT
    there = AuthenticatorData.create(sha256(b"localhost").digest(), flags, 0, credential)
    client_data = CollectedClientData.create("webauthn.create", b"challenge", "http://localhost")
    response = {
        "clientDataJSON": _base64(client_data),
        "attestationObject": _base64(AttestationObject.create("none", there, {})),
    }
    identity = _base64(credential.credential_id)
    answered = {"id": identity, "rawId": identity, "type": "public-key", "response": response}
    return {
        "name": "Laptop",
        "credential": answered | {"clientExtensionResults": {"credProps": {"rk": True}}},
    }


def _identity_provider() -> str:
    values = {"name": "Partners", "server_url": "https://login.example.org", "client_id": "cairn"}
    key = "sign_in:0a1b2c3d"
    section_change(section=SignIn, changes=values, version=0, actor=None, key=key)
    return key.removeprefix(SignIn.further)


def _base64(data: bytes) -> str:
    return str(websafe_encode(data))


def _session(user: User) -> str:
    """Create a session of a user who has just given the password; `at` is in the future, for slow
    machines."""
    client = Client()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    session = client.session
    record_authentication(SimpleNamespace(session=session), user, "password", reauthenticated=True)
    session[AUTHENTICATION_METHODS_SESSION_KEY][-1]["at"] = time.time() + 3600
    session.save()
    return str(session.session_key)


if __name__ == "__main__":
    main()
