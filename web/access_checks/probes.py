"""Requests that a user might try in order to see a document without access to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from cairn.library.models import Document, KnowledgeBase
from web.access_checks.canaries import Canary, Planted
from web.access_checks.client import Request, query

API = "/api/v1"


@dataclass(frozen=True, slots=True)
class KnownIds:
    """Identifiers from the insider's question that others may have learned. Jobs by document."""

    conversation: str
    message: str
    jobs: Mapping[UUID, UUID]
    chunks: Mapping[UUID, Sequence[UUID]]


def requests_for(canary: Canary, base: KnowledgeBase, document: Document) -> Iterator[Request]:
    """Yield searches for a canary by content and by name, with and without filters."""
    asked = canary.sentence.removesuffix(f" {canary.code}.")
    for text in (canary.question, canary.handle, f'"{canary.handle}"', asked):
        yield Request("search", "POST", f"{API}/search", {"query": text, "top_k": 100})
    for ranking in ("dense", "bm25", "rrf"):
        body = {"query": canary.question, "ranking": ranking}
        yield Request(f"{ranking} search", "POST", f"{API}/search", body)
    for narrowed in (
        {"knowledge_bases": [str(base.id)]},
        {"filters": {"document_ids": [str(document.id)]}},
        {"filters": {"source_uri": document.source_uri}},
        {"filters": {"tags": [canary.tag]}},
    ):
        yield Request("search, filtered", "POST", f"{API}/search", {"query": canary.question, **narrowed})
    in_it = {"question": canary.question, "filters": {"document_ids": [str(document.id)]}}
    yield Request("question, filtered", "POST", f"{API}/ask", in_it)
    yield Request("question", "POST", f"{API}/ask", {"question": canary.question})
    for model in ("cairn", f"cairn/{base.slug}"):
        messages = [{"role": "user", "content": canary.question}]
        yield Request("completion", "POST", "/v1/chat/completions", {"model": model, "messages": messages})
    yield Request("streamed question", "POST", f"{API}/ask", {"question": canary.question, "stream": True})
    yield Request(
        "titles in lists", "GET", query(f"{API}/knowledge-bases/{base.id}/documents", q=canary.title)
    )


def document_requests(document: Document, known: KnownIds) -> Iterator[Request]:
    """Yield requests with the id of the document or its job."""
    for tail in ("", "/content", "/rendition", "/chunks", "/pages/1.png", "/people"):
        yield Request("document" + tail, "GET", f"{API}/documents/{document.id}{tail}")
    yield Request("change of a document", "PATCH", f"{API}/documents/{document.id}", {"title": "x"})
    yield Request("deletion of a document", "DELETE", f"{API}/documents/{document.id}")
    for tail in ("", "/passages", "/access", "/people"):
        yield Request("page of a document", "GET", f"/library/documents/{document.id}{tail}", page=True)
    job = known.jobs[document.id]
    yield Request("job", "GET", f"{API}/jobs/{job}")
    yield Request("job's events", "GET", f"{API}/jobs/{job}/events")
    yield Request("cancelling a job", "POST", f"{API}/jobs/{job}/cancel")
    yield Request("trying a job again", "POST", f"{API}/jobs/{job}/retry")


def conversation_requests(known: KnownIds) -> Iterator[Request]:
    """Yield requests for somebody else's conversation about a canary."""
    yield Request("conversation", "GET", f"{API}/conversations/{known.conversation}")
    yield Request("page of a conversation", "GET", f"/conversations/{known.conversation}", page=True)
    yield Request("turns of a conversation", "GET", f"/conversations/{known.conversation}/turns", page=True)
    yield Request("answer", "GET", f"/messages/{known.message}/rendered", page=True)
    for tail in ("", "/events", "/markdown"):
        yield Request("answer over REST", "GET", f"{API}/messages/{known.message}{tail}")
    yield Request("stopping an answer", "POST", f"{API}/messages/{known.message}/stop")
    yield Request("feedback", "POST", f"{API}/messages/{known.message}/feedback", {"rating": "up"})


def base_requests(planted: Planted) -> Iterator[Request]:
    base = planted.closed
    for tail in ("", "/documents", "/sources", "/grants", "/people", "/imports", "/gold-questions"):
        yield Request("knowledge base" + tail, "GET", f"{API}/knowledge-bases/{base.id}{tail}")
    yield Request("page of a knowledge base", "GET", f"/library/{base.slug}", page=True)
    yield Request("console of a knowledge base", "GET", f"/admin/knowledge-bases/{base.slug}", page=True)
    upload = ("mine.md", b"# Mine\n")
    yield Request("upload", "POST", f"{API}/knowledge-bases/{base.id}/documents", file=upload)


def open_requests(planted: Planted, known: KnownIds) -> Iterator[Request]:
    """Yield requests that are allowed, but must neither return nor count closed content."""
    going_on = {"question": "And what is its code?", "conversation": known.conversation}
    yield Request("going on with a conversation", "POST", f"{API}/ask", going_on)
    for path in ("me", "knowledge-bases", "jobs", "conversations", "evaluations", "audit", "users"):
        yield Request(f"list of {path}", "GET", f"{API}/{path}")
    yield Request("list of models", "GET", "/v1/models")
    yield Request("shared documents", "GET", f"{API}/knowledge-bases/{planted.shared.id}/documents")
    yield Request("shared sources", "GET", f"{API}/knowledge-bases/{planted.shared.id}/sources")
    yield Request("one's own data", "GET", f"{API}/me/export")
    for path in ("/", "/library", f"/library/{planted.shared.slug}", "/admin/ingestion", "/conversations"):
        yield Request(f"page {path}", "GET", path, page=True)
    taken = (f"{planted.secret.file}.md", b"# Mine\n")
    yield Request(
        "upload over a closed name",
        "POST",
        f"{API}/knowledge-bases/{planted.shared.id}/documents",
        file=taken,
    )
