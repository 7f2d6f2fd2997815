"""The canary check: people with access find the canaries, others learn nothing."""

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID, uuid4

import httpx

from cairn.access.models import AccessCheck
from cairn.errors import CairnError
from cairn.library.models import Chunk
from ingestion.models import Job
from web.access_checks.artifacts import remove_knowledge_bases
from web.access_checks.canaries import Person, Planted, plant_canaries
from web.access_checks.client import InProcessApplication, Reply, Request, Visitor
from web.access_checks.probes import (
    API,
    KnownIds,
    base_requests,
    conversation_requests,
    document_requests,
    open_requests,
    requests_for,
)

READY_SECONDS: Final = 180
LOOK_SECONDS: Final = 0.5
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=/)access-check-[\w-]+")

Secrets = Mapping[str, frozenset[str]]
"""By kind of thing, the words that must not come back."""


class Inconclusive(CairnError):
    """The insider did not find the canaries, so the check has no result."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A leak. `what` names the kind of content returned, not the content."""

    who: str
    how: str
    what: str


@dataclass(slots=True)
class Outcome:
    probes: int
    leaks: list[Leak]


def check_canaries(check: AccessCheck) -> Outcome:
    """Run the check. Raises Inconclusive if it has no result."""
    outcome = Outcome(0, [])
    with plant_canaries(check) as there, InProcessApplication(check.id) as application:
        _wait_until_ready(there)
        insider = Visitor(application, there.insider)
        known = _insider_finds(insider, there)
        for person in there.outsiders:
            _visit(Visitor(application, person), there, known, outcome)
        remove_knowledge_bases(check)
        _nothing_is_left(insider, there, outcome)
    return outcome


def _wait_until_ready(there: Planted) -> None:
    give_up = time.monotonic() + READY_SECONDS
    documents = [document.id for document in there.everything]
    while Job.objects.filter(version__document__in=documents).open().exists():
        if time.monotonic() > give_up:
            raise Inconclusive("The canaries were not read in time: is a worker running?")
        time.sleep(LOOK_SECONDS)


def _insider_finds(insider: Visitor, there: Planted) -> KnownIds:
    for canary in there.canaries:
        found = insider.send(Request("", "POST", f"{API}/search", {"query": canary.question}))
        if canary.code not in found.text:
            raise Inconclusive("Who may read a canary did not find it.")
    pictured = there.documents[1].id
    _body(insider, Request("", "GET", f"{API}/documents/{pictured}/pages/1.png"), "picture")
    asked = Request("", "POST", f"{API}/ask", {"question": there.plain.question})
    answer = json.loads(_body(insider, asked, "answer"))
    documents = [document.id for document in there.everything]
    jobs = Job.objects.filter(version__document__in=documents).values_list("version__document", "id")
    return KnownIds(answer["conversation"], answer["id"], dict(jobs), _chunks(documents))


def _body(insider: Visitor, request: Request, what: str) -> bytes:
    reply = insider.send(request)
    if reply.status != httpx.codes.OK:
        raise Inconclusive(f"Who may read a canary gets no {what}, but {reply.status}.")
    return reply.body


def _chunks(documents: list[UUID]) -> dict[UUID, list[UUID]]:
    chunks = defaultdict[UUID, list[UUID]](list)
    rows = Chunk.objects.filter(version__document__in=documents)
    for document, chunk in rows.values_list("version__document", "id"):
        chunks[document].append(chunk)
    return chunks


def _visit(visitor: Visitor, there: Planted, known: KnownIds, outcome: Outcome) -> None:
    secrets = _secrets_from(visitor.person, there, known)

    def send(request: Request) -> Reply | None:
        if request.page and not visitor.person.may_sign_in:
            return None
        reply = visitor.send(request)
        outcome.probes += 1
        for what in _find_leaked_kinds(reply, request, secrets):
            outcome.leaks.append(Leak(visitor.person.name, request.how, what))
        return reply

    for request in _by_words(visitor.person, there, known):
        send(request)
    for request in _by_id(visitor.person, there, known):
        if _same(send(request), send(_unknown(request))):
            continue
        outcome.leaks.append(Leak(visitor.person.name, request.how, "that it is there"))
    if not visitor.person.is_insider and _is_document_counted(
        send(Request("", "GET", _build_shared_base_path(there)))
    ):
        outcome.leaks.append(Leak(visitor.person.name, "count of documents", "that it is there"))


def _secrets_from(person: Person, there: Planted, known: KnownIds) -> Secrets:
    closed = there.list_hidden_canaries(person)
    canaries = [canary for canary, _, _ in closed]
    documents = [document.id for _, _, document in closed]
    chunks = [chunk for document in documents for chunk in known.chunks[document]]
    mine = {known.conversation, known.message} if not person.is_insider else set[str]()
    return {
        "text": frozenset(canary.code for canary in canaries),
        "title": frozenset(canary.title for canary in canaries),
        "file name": frozenset(canary.file for canary in canaries),
        "tag": frozenset(canary.tag for canary in canaries),
        "section": frozenset(canary.section for canary in canaries),
        "name of a knowledge base": frozenset({there.closed_word}),
        "id": frozenset({str(there.closed.id), *map(str, documents), *map(str, chunks)}),
        "conversation": frozenset(mine),
    }


def _find_leaked_kinds(reply: Reply, request: Request, secrets: Secrets) -> Iterator[str]:
    """Yield the kinds of secrets that the reply contains but the request did not."""
    for what, words in secrets.items():
        if any(word in reply.text and word not in request.sent for word in words):
            yield what


def _by_words(person: Person, there: Planted, known: KnownIds) -> Iterator[Request]:
    for canary, base, document in there.list_hidden_canaries(person):
        yield from requests_for(canary, base, document)
    yield from (
        request
        for request in open_requests(there, known)
        if not (person.is_insider and "closed" in request.how)
    )


def _by_id(person: Person, there: Planted, known: KnownIds) -> Iterator[Request]:
    for _, _, document in there.list_hidden_canaries(person):
        yield from document_requests(document, known)
    yield from base_requests(there)
    if not person.is_insider:
        yield from conversation_requests(known)


def _unknown(request: Request) -> Request:
    """Return the corresponding request for an object that does not exist."""
    return replace(request, path=_ID.sub(lambda _: str(uuid4()), request.path, count=1))


def _same(there: Reply | None, elsewhere: Reply | None) -> bool:
    """Compare replies except for random tokens in pages."""
    if there is None or elsewhere is None:
        return True
    pages = "<!doctype html" in there.text
    return there.status == elsewhere.status and (pages or there.body == elsewhere.body)


def _build_shared_base_path(there: Planted) -> str:
    return f"{API}/knowledge-bases/{there.shared.id}"


def _is_document_counted(reply: Reply | None) -> bool:
    """Return whether a document is counted: all are closed to the person."""
    if reply is None or reply.status != httpx.codes.OK:
        return False
    shown: dict[str, Any] = json.loads(reply.body)
    return bool(shown["documents"] or shown["chunks"])


def _nothing_is_left(insider: Visitor, there: Planted, outcome: Outcome) -> None:
    """Check that searches right after the deletion find nothing, even with access."""
    for canary in there.canaries:
        request = Request("search after deletion", "POST", f"{API}/search", {"query": canary.question})
        outcome.probes += 1
        if canary.code in insider.send(request).text:
            outcome.leaks.append(Leak("insider", request.how, "text"))
