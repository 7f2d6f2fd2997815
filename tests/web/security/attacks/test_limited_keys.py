"""A key that is limited to one knowledge base, and what its user has elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from cairn.accounts.services import api_key_create
from cairn.library.models import KnowledgeBase
from ingestion.documents.services import knowledge_base_delete
from retrieval.engine import Engine
from retrieval.gaps.clusters import base_key
from retrieval.gaps.models import Gap, GapQuestion, Notice, NoticeKind, Why
from retrieval.models import Conversation, Message
from tests.bases import make_base
from tests.web.api.conftest import Caller
from tests.web.security.attacks.recorder import Attack

pytestmark = pytest.mark.django_db(transaction=True)  # answers are written by another thread
Made = dict[str, str]
QUESTION = "What does the merger cost?"


@dataclass(frozen=True, slots=True)
class Place:
    """`limited` is a key of `mia` that may touch `inside` alone."""

    mia: Caller
    limited: Caller
    inside: KnowledgeBase
    outside: KnowledgeBase

    def ask(self, *bases: KnowledgeBase, by: Caller | None = None, **more: Any) -> Made:
        """Ask in these knowledge bases, or in all readable ones."""
        narrowed = {"knowledge_bases": [str(base.id) for base in bases]} if bases else {}
        answer = (by or self.mia).post("/ask", {"question": QUESTION, **narrowed, **more})
        assert answer.status_code == 200, answer.content
        return {"conversation": answer.json()["conversation"], "message": answer.json()["id"]}


@pytest.fixture
def place(parts: Engine, mia: Caller) -> Place:
    inside, outside = (make_base(name=name, principal=mia.principal) for name in ("In", "Out"))
    _, key = api_key_create(user=mia.user, label="limited", knowledge_bases=[inside.id])
    return Place(mia, Caller(mia.user, key), inside, outside)


def elsewhere(place: Place) -> Made:
    return place.ask(place.outside)


def here_and_elsewhere(place: Place) -> Made:
    return place.ask(place.inside, place.outside)


def everywhere(place: Place) -> Made:
    return place.ask()


def gone_on_elsewhere(place: Place) -> Made:
    begun = place.ask(place.inside)
    return place.ask(place.outside, conversation=begun["conversation"])


def elsewhere_on_a_branch_that_is_not_shown(place: Place) -> Made:
    begun = place.ask(place.inside)
    place.ask(place.outside, conversation=begun["conversation"], parent=None)
    path = f"/conversations/{begun['conversation']}"
    assert place.mia.patch(path, {"current": begun["message"]}).status_code == 200
    return begun


def in_a_base_that_is_deleted(place: Place) -> Made:
    made = place.ask(place.outside)
    knowledge_base_delete(knowledge_base=place.outside, principal=place.mia.principal)
    KnowledgeBase.objects.get(pk=place.outside.pk).delete()  # as its erasure does
    return made


def by_a_key_for_elsewhere(place: Place) -> Made:
    _, key = api_key_create(user=place.mia.user, label="other", knowledge_bases=[place.outside.id])
    return place.ask(by=Caller(place.mia.user, key))


def before_it_was_recorded(place: Place) -> Made:
    """Leave a conversation as an upgrade does: without a record of its knowledge bases."""
    made = place.ask(place.inside)
    Conversation.objects.filter(pk=made["conversation"]).update(confined=False)
    return made


OUTSIDE = [
    elsewhere, here_and_elsewhere, everywhere, gone_on_elsewhere, elsewhere_on_a_branch_that_is_not_shown,
    in_a_base_that_is_deleted, by_a_key_for_elsewhere, before_it_was_recorded,
]  # fmt: skip


def in_the_base(place: Place) -> Made:
    return place.ask(place.inside)


def by_the_key_itself(place: Place) -> Made:
    return place.ask(by=place.limited)


def gone_on_by_the_key(place: Place) -> Made:
    return place.ask(by=place.limited, conversation=place.ask(place.inside)["conversation"])


INSIDE = [in_the_base, by_the_key_itself, gone_on_by_the_key]


@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("inside", INSIDE)
def test_only_conversations_entirely_within_the_base_are_reached(
    attack: Attack, place: Place, outside: Callable[[Place], Made], inside: Callable[[Place], Made]
) -> None:
    allowed, refused = inside(place), outside(place)
    listed = [item["id"] for item in place.limited.get("/conversations").json()["items"]]
    found = [item["id"] for item in place.limited.get("/conversations?q=merger").json()["items"]]
    for made, reached in ((allowed, attack.allowed), (refused, attack.refused)):
        is_allowed = made is allowed
        one = place.limited.get(f"/conversations/{made['conversation']}")
        message = place.limited.get(f"/messages/{made['message']}")
        reached((one.status_code, message.status_code) == ((200, 200) if is_allowed else (404, 404)))
        reached((made["conversation"] in listed) is is_allowed, listed)
        reached((made["conversation"] in found) is is_allowed, found)


OPERATIONS: list[tuple[str, str, Any]] = [
    ("GET", "/conversations/{conversation}", None),
    ("PATCH", "/conversations/{conversation}", {"title": "Mine now"}),
    ("PATCH", "/conversations/{conversation}", {"current": "{message}"}),
    ("DELETE", "/conversations/{conversation}", None),
    ("GET", "/conversations/{conversation}/export?format=json", None),
    ("GET", "/conversations/{conversation}/share", None),
    ("PUT", "/conversations/{conversation}/share", {"subjects": ["everyone"]}),
    ("DELETE", "/conversations/{conversation}/share", None),
    ("GET", "/shared/{share}", None),
    ("GET", "/messages/{message}", None),
    ("GET", "/messages/{message}/markdown", None),
    ("POST", "/messages/{message}/feedback", {"rating": "down"}),
    ("DELETE", "/messages/{message}/feedback", None),
    ("POST", "/messages/{message}/stop", None),
    ("PUT", "/messages/{message}/passing-on", {"passed_on": True}),
    ("POST", "/ask", {"question": "And now?", "conversation": "{conversation}"}),
    ("POST", "/ask", {"question": "And now?", "parent": "{message}"}),
    ("POST", "/knowledge-bases/{base}/gold-questions",
     {"question": "Why?", "kind": "unanswerable", "message": "{message}"}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), OPERATIONS)
def test_limited_key_reaches_no_conversation_about_another_base(
    attack: Attack, place: Place, method: str, path: str, body: Any
) -> None:
    theirs, own = place.ask(place.outside), place.ask(place.inside)
    for made in (theirs, own):
        share = place.mia.put(f"/conversations/{made['conversation']}/share", {"subjects": ["everyone"]})
        made |= {"share": share.json()["id"], "base": str(place.inside.id)}
    before = list(Conversation.objects.filter(pk=theirs["conversation"]).values())
    answer = place.limited.send(method, path.format(**theirs), _filled(body, theirs))
    attack.refused(answer.status_code == 404, (answer.status_code, answer.content))
    attack.refused(QUESTION.encode() not in answer.content)
    attack.refused(list(Conversation.objects.filter(pk=theirs["conversation"]).values()) == before)
    entitled = place.limited.send(method, path.format(**own), _filled(body, own))
    attack.allowed(entitled.status_code < 300, (entitled.status_code, entitled.content))


def _filled(body: Any, made: Made) -> Any:
    if not isinstance(body, dict):
        return body
    return {name: value.format(**made) if isinstance(value, str) else value for name, value in body.items()}


def test_copied_share_has_the_same_knowledge_bases(attack: Attack, place: Place) -> None:
    copies = []
    for base in (place.outside, place.inside):
        path = f"/conversations/{place.ask(base)['conversation']}/share"
        share = place.mia.put(path, {"subjects": ["everyone"]}).json()["id"]
        copies.append(place.mia.post(f"/shared/{share}/continue").json()["id"])
    theirs, own = copies
    attack.refused(place.limited.get(f"/conversations/{theirs}").status_code == 404)
    attack.allowed(place.limited.get(f"/conversations/{own}").status_code == 200)


def gap(*bases: KnowledgeBase, message: str) -> Gap:
    row = Gap.objects.create(base_key=base_key([base.id for base in bases]))
    row.knowledge_bases.set(bases)
    named = [str(base.id) for base in bases]
    question, _ = GapQuestion.objects.update_or_create(
        message_id=message, defaults={"gap": row, "why": Why.DOWN, "bases": named}
    )
    assert question.gap == row
    return row


@pytest.mark.parametrize("both", [False, True], ids=["of another base", "of both bases"])
def test_limited_key_reaches_no_gaps_of_another_base(attack: Attack, place: Place, both: bool) -> None:
    bases = (place.inside, place.outside) if both else (place.outside,)
    theirs = gap(*bases, message=place.ask(*bases)["message"])
    own = gap(place.inside, message=place.ask(place.inside)["message"])
    listed = [item["id"] for item in place.limited.get("/gaps").json()["items"]]
    attack.refused(str(theirs.id) not in listed)
    attack.refused(place.limited.get(f"/gaps/{theirs.id}").status_code == 404)
    attack.refused(place.limited.patch(f"/gaps/{theirs.id}", {"note": "x"}).status_code == 404)
    attack.allowed(str(own.id) in listed)
    attack.allowed(place.limited.patch(f"/gaps/{own.id}", {"note": "x"}).status_code == 200)


@pytest.mark.parametrize("kind", [NoticeKind.ANSWERED, NoticeKind.ASSIGNED])
def test_limited_key_reaches_no_notices_about_another_base(
    attack: Attack, place: Place, kind: NoticeKind
) -> None:
    theirs, own = (notice(place, base, kind) for base in (place.outside, place.inside))
    listed = [item["id"] for item in place.limited.get("/notices").json()["items"]]
    attack.refused(str(theirs.id) not in listed)
    attack.refused(place.limited.post(f"/notices/{theirs.id}/read").status_code == 404)
    attack.allowed(place.limited.post("/notices/read").json() == {"read": 1})
    attack.refused(Notice.objects.get(pk=theirs.pk).read_at is None)
    attack.allowed(str(own.id) in listed and Notice.objects.get(pk=own.pk).read_at is not None)


def notice(place: Place, base: KnowledgeBase, kind: NoticeKind) -> Notice:
    message = place.ask(base)["message"]
    about = Message.objects.get(pk=message) if kind == NoticeKind.ANSWERED else None
    return Notice.objects.create(
        user=place.mia.user, kind=kind, gap=gap(base, message=message), message=about
    )


@pytest.mark.parametrize("kind", ["documents", "knowledge-bases"])
def test_limited_key_reaches_no_receipts_of_another_base(attack: Attack, place: Place, kind: str) -> None:
    receipts = []
    for base in (place.outside, place.inside):
        uploaded = place.mia.upload(str(base.id), "a.md", b"# A").json()["document"]["id"]
        target = uploaded if kind == "documents" else base.id
        erased = place.mia.delete(f"/{kind}/{target}")
        receipts.append(erased.json()["receipt"]["id"])
    theirs, own = receipts
    attack.refused(place.limited.get(f"/receipts/{theirs}").status_code == 404)
    attack.allowed(place.limited.get(f"/receipts/{own}").status_code == 200)
    attack.allowed(place.mia.get(f"/receipts/{theirs}").status_code == 200)


def test_limited_key_reaches_no_uploads_into_another_base(attack: Attack, place: Place) -> None:
    theirs, own = (
        place.mia.post("/uploads", {"knowledge_base": str(base.id), "filename": "a.md", "size": 4}).json()[
            "id"
        ]
        for base in (place.outside, place.inside)
    )
    attack.refused(place.limited.get(f"/uploads/{theirs}").status_code == 404)
    attack.refused(place.limited.delete(f"/uploads/{theirs}").status_code == 404)
    attack.allowed([item["id"] for item in place.limited.get("/uploads").json()["items"]] == [own])
    attack.allowed(place.limited.delete(f"/uploads/{own}").status_code == 204)


@pytest.mark.parametrize("what", ["imports", "jobs"])
def test_limited_key_reaches_no_jobs_or_imports_of_another_base(
    attack: Attack, place: Place, what: str
) -> None:
    made = []
    for base in (place.outside, place.inside):
        path = f"/knowledge-bases/{base.id}/imports"
        job = place.mia.upload(str(base.id), "a.md", b"# A").json()["job"]["id"]
        made.append(job if what == "jobs" else place.mia.post(path, {"label": "drive"}).json()["id"])
    theirs, own = made
    attack.refused(place.limited.get(f"/{what}/{theirs}").status_code == 404)
    attack.refused(place.limited.post(f"/{what}/{theirs}/cancel").status_code == 404)
    attack.allowed(place.limited.get(f"/{what}/{own}").status_code == 200)
    attack.allowed(place.limited.post(f"/{what}/{own}/cancel").status_code == 202)
