"""JSON schemas of resources, and their construction from rows."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import accumulate
from typing import Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from cairn.access.models import Grant as GrantRow
from cairn.access.models import Role
from cairn.access.principals import can_create_knowledge_bases, has_key_scope
from cairn.access.scope import Principal
from cairn.access.services import READERS, readers_of
from cairn.accounts.models import Group as GroupRow
from cairn.accounts.models import User as UserRow
from cairn.answers import Intent
from cairn.library.cell_ranges import CellLine
from cairn.library.links import Link, bare_links, links_from_json, safe_url
from cairn.library.models import Chunk, DocumentVersion
from cairn.library.models import Document as DocumentRow
from cairn.library.models import KnowledgeBase as KnowledgeBaseRow
from cairn.library.rendition import Element as ReadElement
from cairn.library.rendition import Rendition as ReadRendition
from cairn.messages import CodedMessage
from cairn.settings import environment
from ingestion.documents.sources import is_resubmittable
from ingestion.erasure.receipts import waiting_for
from ingestion.imports.services import imports_of
from ingestion.jobs.progress import QueueStatus, queue_statuses
from ingestion.models import Job as JobRow
from ingestion.models import Lane, Stage
from ingestion.models import Receipt as ReceiptRow
from retrieval import types as found
from retrieval.conversations import snippets
from retrieval.conversations.services import ShownMessage
from retrieval.gaps.models import VerifiedAnswer
from retrieval.models import Citation as CitationRow
from retrieval.models import Conversation as ConversationRow
from retrieval.models import Message as MessageRow
from retrieval.passages.locations import location_of
from web.api.row_schema import RowSchema

Box = tuple[float, float, float, float]
OFFICIAL = "An admin or a command created the knowledge base, or an admin has approved it"
LOCATION = "Where it stands, in words: a page, a slide, or a range of cells; may be empty"


class Problem(BaseModel):
    """RFC 9457. `code` is stable; `errors` lists invalid fields."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[dict[str, Any]] | None = None


class Me(BaseModel):
    """`scopes` is null for a browser session, which needs none. `knowledge_bases`: the only ones that the key
    may use; null if it is not limited. `can_create_knowledge_bases`: with this key or session.
    """

    id: str
    username: str
    display_name: str
    is_admin: bool
    groups: list[str]
    scopes: list[str] | None
    knowledge_bases: list[str] | None
    can_create_knowledge_bases: bool

    @classmethod
    def of(cls, principal: Principal) -> "Me":
        return cls(
            id=str(principal.user),
            username=principal.username,
            display_name=principal.display_name,
            is_admin=principal.is_admin,
            groups=sorted(map(str, principal.groups)),
            scopes=None if principal.key_scopes is None else sorted(principal.key_scopes),
            knowledge_bases=None if principal.key_bases is None else sorted(map(str, principal.key_bases)),
            can_create_knowledge_bases=can_create_knowledge_bases(principal),
        )


class User(RowSchema):
    """`display_name` and `email` may be empty, and are not unique."""

    id: str
    username: str
    display_name: str
    email: str
    is_admin: bool
    is_active: bool
    groups: list[str]

    @classmethod
    def of(cls, row: UserRow) -> "User":
        return cls.read(
            row,
            id=str(row.id),
            groups=[str(group.id) for group in row.member_of.all()],
        )


class Group(BaseModel):
    """`source`: the directory that manages it, such as `scim`; empty if local admins do. `managers` may give
    the group access to knowledge bases that they manage, as admins may.
    """

    id: str
    name: str
    source: str
    members: list[str]
    managers: list[str]
    can_create_knowledge_bases: bool

    @classmethod
    def of(cls, row: GroupRow) -> "Group":
        return cls(
            id=str(row.id),
            name=row.name,
            source=row.source,
            members=[str(user.id) for user in row.members.all()],
            managers=[str(user.id) for user in row.managers.all()],
            can_create_knowledge_bases=row.can_create_knowledge_bases,
        )


class Owner(BaseModel):
    id: str
    username: str
    _label: str = PrivateAttr("")

    @property
    def label(self) -> str:
        """The name on pages: the display name, if there is one, and the user name."""
        return self._label or self.username

    @classmethod
    def of(cls, row: UserRow | found.Owner | None) -> "Owner | None":
        if row is None:
            return None
        owner = cls(id=str(row.id), username=row.username)
        owner._label = row.label if isinstance(row, UserRow) else ""
        return owner


class KnowledgeBase(RowSchema):
    id: str
    name: str
    slug: str
    description: str
    sensitivity: str
    grounding: str
    outside_models: str = Field(
        description="Whether models outside the organisation may read it: `allow`, `forbid` or `default`"
    )
    official: bool = Field(description=OFFICIAL)
    owner: Owner | None = Field(description="The person responsible for its content")
    retention_days: int | None
    my_role: str
    documents: int
    chunks: int
    created_at: datetime

    @classmethod
    def of(cls, row: KnowledgeBaseRow, *, role: Role, documents: int, chunks: int) -> "KnowledgeBase":
        return cls.read(
            row,
            id=str(row.id),
            owner=Owner.of(row.owner),
            my_role=role.value,
            documents=documents,
            chunks=chunks,
        )


class Grant(BaseModel):
    subject: str
    role: str

    @classmethod
    def of(cls, row: GrantRow) -> "Grant":
        return cls(subject=row.subject, role=row.role)


class Failure(BaseModel):
    code: str
    message: str

    @classmethod
    def of(cls, version: DocumentVersion | None) -> "Failure | None":
        if version is None or not version.error_code:
            return None
        return cls(code=version.error_code, message=version.error_message)


class Report(BaseModel):
    pages_without_text: list[int] = []
    ocr_pages: list[int] = []
    ocr_confidence: float | None = None
    tables: int = 0
    truncated: bool = False
    warnings: list[str] = []
    suspicious: list[str] = Field(
        [], description="Suspicious passages; for API keys, only with the scope `search`"
    )

    @classmethod
    def of(cls, version: DocumentVersion | None, principal: Principal) -> "Report":
        """Build the report. Quoted passages are content, which requires the scope `search`."""
        report = cls.model_validate(version.report if version else {})
        return report if has_key_scope(principal, "search") else report.model_copy(update={"suspicious": []})


class Pending(BaseModel):
    """A newer version that is being processed or has failed, while the older one is active."""

    version: int
    status: str
    error: Failure | None


class Document(RowSchema):
    id: str
    knowledge_base: str
    parent: str | None = Field(description="The email or archive that contains it")
    title: str
    source_uri: str
    media_type: str
    size: int
    sha256: str
    version: int
    status: Literal["queued", "processing", "ready", "failed", "deleted"]
    error: Failure | None
    pending: Pending | None
    pages: int | None
    chunks: int
    language: str | None
    metadata: dict[str, Any]
    readers: list[str] = Field(
        description="`user:ID`, `group:ID` or `everyone`; only `source` if the source of the document decides"
    )
    owner: str | None
    review_by: date | None
    review_days: int | None = Field(description="Days between reviews")
    reviewed_at: datetime | None
    forbids_outside_models: bool = Field(
        description="No model outside the organisation may read it, or what is embedded in it"
    )
    created_at: datetime
    updated_at: datetime
    report: Report
    properties: dict[str, str] = Field(
        description="File metadata, such as an email's sender; for API keys, only with the scope `search`"
    )

    @classmethod
    def of(cls, row: DocumentRow, principal: Principal) -> "Document":
        """Build it, cheaply for rows of `annotate_documents`. Keys without the scope `search` get no
        extracted content.
        """
        version = row.shown_version
        return cls.read(
            row,
            id=str(row.id),
            knowledge_base=str(row.knowledge_base_id),
            parent=str(row.parent_id) if row.parent_id else None,
            media_type=version.media_type if version else "",
            size=version.size if version else 0,
            sha256=version.sha256 if version else "",
            version=version.number if version else 0,
            error=Failure.of(version) if row.status == "failed" else None,
            pending=_pending(row.pending_version),
            pages=version.pages if version else None,
            chunks=version.chunk_count if version else 0,
            language=version.language if version else None,
            readers=readers_of(row),
            owner=str(row.owner_id) if row.owner_id else None,
            report=_report(row, version, principal),
            properties=version.properties if version and has_key_scope(principal, "search") else {},
        )


def annotate_documents(rows: "QuerySet[DocumentRow]") -> "QuerySet[DocumentRow]":
    """Load everything that the documents' JSON needs, in a fixed number of queries."""
    related = ("active_version", "latest_version", "knowledge_base", "owner")
    inside = DocumentRow.objects.present().failed().filter(parent=OuterRef("pk")).order_by()
    failed = inside.values("parent").annotate(count=Count("pk")).values("count")
    rows = rows.annotate(failed_inside=Coalesce(Subquery(failed), 0))
    return rows.select_related(*related).prefetch_related(*READERS)


def _report(row: DocumentRow, version: DocumentVersion | None, principal: Principal) -> Report:
    """Return the report, including a warning about embedded documents that failed."""
    report = Report.of(version, principal)
    count = getattr(row, "failed_inside", None)  # as `annotate_documents` has counted it
    failed = row.children.present().failed().count() if count is None else count
    if failed:
        report.warnings.append(CodedMessage("failed_files", count=failed))
    return report


def _pending(version: DocumentVersion | None) -> Pending | None:
    if version is None:
        return None
    return Pending(version=version.number, status=version.state, error=Failure.of(version))


class Job(RowSchema):
    """`rate` counts pages, chunks or points per second, by stage. `last_error`: of the last failed attempt;
    `retry_at`: when the next one may begin. `import`: the import it is part of.
    """

    model_config = ConfigDict(populate_by_name=True)

    id: str
    document: str
    title: str
    source_uri: str
    knowledge_base: str
    version: int
    lane: Lane
    batch: str | None = Field(alias="import")
    stage: str
    stage_since: datetime
    done: int
    total: int
    rate: float | None
    attempts: int
    max_attempts: int
    retry_at: datetime | None
    last_error: str
    queue_position: int | None
    eta_s: float | None
    error: Failure | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: JobRow) -> "Job":
        return cls.all_of([row])[0]

    @classmethod
    def all_of(cls, rows: Sequence[JobRow]) -> "list[Job]":
        places, batches = queue_statuses(rows), imports_of(rows)
        return [cls._of(row, places[row.id], batches.get(row.id)) for row in rows]

    @classmethod
    def _of(cls, row: JobRow, place: QueueStatus, batch: UUID | None) -> "Job":
        document = row.version.document
        return cls.read(
            row,
            id=str(row.id),
            document=str(document.id),
            title=document.title,
            source_uri=document.source_uri,
            knowledge_base=str(document.knowledge_base_id),
            version=row.version.number,
            lane=Lane(row.lane),
            batch=str(batch) if batch else None,
            rate=place.rate,
            max_attempts=environment().job_max_attempts,
            retry_at=row.not_before if row.stage == Stage.QUEUED else None,
            queue_position=place.position,
            eta_s=place.eta,
            error=Failure.of(row.version) if row.stage in {Stage.FAILED, Stage.CANCELLED} else None,
        )


class Source(BaseModel):
    """The latest version from a source. `again`: the same bytes would be processed again if sent.
    `imported`: you uploaded it in a folder import.
    """

    source_uri: str
    document: str
    sha256: str
    status: str
    error: Failure | None
    again: bool
    imported: bool

    @classmethod
    def of(cls, row: Any) -> "Source":
        latest = row.latest_version
        return cls(
            source_uri=row.source_key,
            document=str(row.id),
            sha256=latest.sha256 if latest else "",
            status=latest.state if latest else row.status,
            error=Failure.of(latest),
            again=latest is None or is_resubmittable(latest),
            imported=row.imported,
        )


class Submitted(BaseModel):
    """`job` is null if these bytes were already stored."""

    document: Document
    job: Job | None


class Removed(BaseModel):
    rows: int = 0
    chunks: int = 0
    points: int = 0
    files: int = 0
    quotes: int = 0


class Receipt(BaseModel):
    """`object` is `document:ID`, `knowledge-base:ID` or `user:ID`. `state` is `pending`, or `done` once the
    index was rewritten without the erased data. `waiting_for` describes what a pending receipt waits for.
    """

    id: str
    object: str
    state: str
    removed: Removed
    created_at: datetime
    verified_at: datetime | None
    waiting_for: str | None

    @classmethod
    def of(cls, row: ReceiptRow) -> "Receipt":
        return cls(
            id=str(row.id),
            object=row.object,
            state=row.state,
            removed=Removed.model_validate(row.removed),
            created_at=row.created_at,
            verified_at=row.verified_at,
            waiting_for=waiting_for(row) or None,
        )


class Erasure(BaseModel):
    receipt: Receipt


class ElementLink(BaseModel):
    """A link in an element's text. Positions count Unicode code points. `url` begins with http:, https: or
    mailto:.
    """

    start: int
    end: int
    url: str


class Element(RowSchema):
    """`links`: those of the document, and web addresses written out in the text."""

    index: int
    category: str
    text: str
    section: list[str]
    page: int | None
    boxes: list[Box]
    header_rows: int
    sheet: str | None
    cells: list[str]
    links: list[ElementLink]

    @classmethod
    def of(cls, read: ReadElement) -> "Element":
        in_document = [Link(start, end, safe_url(url) or "") for start, end, url in read.links]
        safe = [link for link in in_document if link.url]
        links = sorted((*safe, *bare_links(read.text, in_document)))
        shown = [ElementLink(start=start, end=end, url=url) for start, end, url in links]
        return cls.read(read, links=shown)


class Rendition(BaseModel):
    """Boxes are left, top, right, bottom as fractions of the page."""

    pages: int | None
    elements: list[Element]

    @classmethod
    def of(cls, read: ReadRendition) -> "Rendition":
        return cls(pages=read.pages, elements=list(map(Element.of, read.elements)))


class Passage(RowSchema):
    """A chunk as it is indexed: `context` is embedded together with `text`."""

    id: str
    ordinal: int
    text: str
    context: str
    section: list[str]
    page: int | None
    location: str
    tokens: int

    @classmethod
    def of(cls, row: Chunk, version: DocumentVersion) -> "Passage":
        cells = CellLine.all_from_json(row.cells)
        return cls.read(
            row,
            id=str(row.id),
            location=location_of(version.media_type, row.page, cells),
        )


class Scores(BaseModel):
    dense: float | None
    sparse: float | None
    fused: float
    rerank: float | None = None


class Hit(RowSchema):
    chunk: str
    document: str
    title: str
    knowledge_base: str
    knowledge_base_name: str
    knowledge_base_owner: Owner | None
    official: bool = Field(description=OFFICIAL)
    source_uri: str
    page: int | None
    location: str = Field(description=LOCATION)
    section: list[str]
    text: str
    score: float
    scores: Scores
    url: str

    @classmethod
    def of(cls, hit: found.Hit) -> "Hit":
        return cls.read(
            hit,
            chunk=str(hit.chunk),
            document=str(hit.document),
            knowledge_base=str(hit.knowledge_base),
            knowledge_base_owner=Owner.of(hit.knowledge_base_owner),
            section=list(hit.section),
            scores=Scores.model_validate(hit.scores, from_attributes=True),
            url=passage_url(hit.document, hit.chunk),
        )


class SpellingCorrection(BaseModel):
    typed: str
    searched: str


class Found(BaseModel):
    results: list[Hit]
    took_ms: float
    spelling: list[SpellingCorrection] = Field(
        [], description="Words that were searched for in place of typed ones that no passage had"
    )


def passage_url(document: UUID | str, chunk: UUID | str | None = None) -> str:
    """Return the URL of the document's page, at the passage if given."""
    query = f"?{urlencode({'chunk': str(chunk)})}" if chunk else ""
    return f"/library/documents/{document}{query}"


class Verified(BaseModel):
    """The verification of a document. `by`: its owner; null if that account is gone."""

    by: str | None
    until: date
    _label: str = PrivateAttr("")

    @property
    def label(self) -> str:
        """The owner's name on pages: the display name, if there is one, and the user name."""
        return self._label

    @classmethod
    def of(cls, version: DocumentVersion) -> "Verified | None":
        """Build it for documents of `versions_of`; None unless this version was published as verified."""
        row: VerifiedAnswer | None = getattr(version.document, "verification", None)
        if row is None or not row.vouches_for(version.sha256):
            return None
        found = cls(by=row.owner.username if row.owner else None, until=row.until)
        found._label = row.owner.label if row.owner else ""
        return found


class CitedLink(BaseModel):
    """A link in the quote, with the document's own text. `url` begins with http:, https: or mailto:."""

    text: str
    url: str

    @classmethod
    def build_all(cls, quote: str, links: Iterable[Sequence[Any]] | None) -> "list[CitedLink]":
        """Build them from positions in the quote, each once. Targets are checked again."""
        found = [
            (" ".join(quote[link.start : link.end].split()), safe_url(link.url))
            for link in links_from_json(links)
        ]
        return [cls(text=text, url=url) for text, url in dict.fromkeys(found) if text and url]


class Citation(RowSchema):
    """`version`: the number of the document's quoted version. `verified`: who is responsible for it, and
    until when.
    """

    marker: int
    chunk: str
    document: str
    knowledge_base: str
    knowledge_base_name: str
    knowledge_base_owner: Owner | None
    official: bool = Field(description=OFFICIAL)
    title: str
    source_uri: str
    version: int
    page: int | None
    location: str = Field(description=LOCATION)
    section: list[str]
    boxes: list[Box]
    quote: str
    links: list[CitedLink]
    url: str
    verified: Verified | None

    @classmethod
    def of(cls, citation: found.Citation | CitationRow, version: DocumentVersion) -> "Citation":
        document, base = version.document, version.document.knowledge_base
        return cls.read(
            citation,
            chunk=str(citation.chunk),
            document=str(document.id),
            knowledge_base=str(base.id),
            knowledge_base_name=base.name,
            knowledge_base_owner=Owner.of(base.owner),
            official=base.official,
            source_uri=document.source_uri,
            version=version.number,
            section=list(citation.section),
            boxes=list(citation.boxes),
            links=CitedLink.build_all(citation.quote, citation.links),
            url=passage_url(document.id, citation.chunk),
            verified=Verified.of(version),
        )


Cited = found.Citation | CitationRow


def versions_of(citations: Iterable[Cited | found.Hit]) -> dict[UUID, DocumentVersion]:
    """Load the cited versions in one query."""
    related = ("document__verification__owner", "document__knowledge_base__owner")
    rows = DocumentVersion.objects.select_related(*related)
    return rows.in_bulk({c.version for c in citations})


def citations_of(citations: Iterable[Cited], versions: Mapping[UUID, DocumentVersion]) -> list[Citation]:
    """Build citations, except of documents erased meanwhile."""
    return [Citation.of(each, versions[each.version]) for each in citations if each.version in versions]


class Sentence(BaseModel):
    text: str
    supported: bool
    markers: list[int]
    reason: str = ""


class Nearest(BaseModel):
    document: str
    title: str
    url: str


class Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Timings(BaseModel):
    retrieval_ms: float = 0.0
    first_token_ms: float | None = None
    total_ms: float = 0.0


class Feedback(BaseModel):
    rating: str
    reason: str
    comment: str

    @classmethod
    def of(cls, row: MessageRow) -> "Feedback | None":
        if not row.rating:
            return None
        return cls(rating=row.rating, reason=row.rating_reason, comment=row.rating_comment)


class AnsweredPart(BaseModel):
    """One of several questions in a message."""

    question: str
    verdict: str
    reason: str


class Answer(BaseModel):
    """`state` is running, done, stopped or failed. Content you may no longer read is withheld. `mode`:
    `small_talk` is a reply to a message such as "hi", without a verdict. `declined`: the usage policy
    declines the question, `answer` is the organisation's reply, and `verdict` is `refused`.
    """

    id: str
    conversation: str
    parent: str | None = Field(description="The previous message; null for the first")
    siblings: list[str] = Field(
        description="All messages with the same parent, including this one, oldest first"
    )
    state: str
    question: str
    standalone_question: str
    answer: str = Field(description="Markdown; [n] refers to the citation with marker n")
    verdict: str
    reason: str
    mode: str
    intent: str = Field(
        description="What the message was understood as: `ask`, `list`, `find`, `summarise` or `compare`"
    )
    library_url: str = Field(
        description="The library page with the whole list, if the answer shows only its beginning; else empty"
    )
    spelling: list[SpellingCorrection] = Field(
        description="Words that were searched for in place of typed ones that no passage had. Words in "
        "quotation marks are never corrected"
    )
    citations: list[Citation]
    sentences: list[Sentence]
    nearest: list[Nearest]
    parts: list[AnsweredPart] = Field(
        description="The parts of a question about several things; otherwise empty"
    )
    signals: dict[str, float] = Field(
        description="Signals behind the answerability decision, for single-part questions"
    )
    withheld: bool
    incomplete: bool = Field(description="The answer was stopped or interrupted and is incomplete")
    feedback: Feedback | None
    model: str
    usage: Usage
    timings: Timings
    created_at: datetime


def answers_of(messages: Sequence[ShownMessage]) -> list[Answer]:
    versions = versions_of(citation for shown in messages for citation in shown.citations)
    return [_answer(shown, citations_of(shown.citations, versions)) for shown in messages]


def _answer(shown: ShownMessage, citations: list[Citation]) -> Answer:
    row = shown.message
    return Answer(
        id=str(row.id),
        conversation=str(row.conversation_id),
        parent=str(row.parent_id) if row.parent_id else None,
        siblings=[str(each) for each in shown.siblings],
        state=shown.state,
        question=row.question,
        standalone_question=row.standalone_question or row.question,
        answer=shown.answer,
        verdict=row.verdict,
        reason=shown.reason,
        mode=row.mode,
        intent=row.trace.get("intent", Intent.ASK),
        library_url=library_url_of(row),
        spelling=[SpellingCorrection.model_validate(each) for each in shown.spelling],
        citations=citations,
        sentences=[Sentence.model_validate(sentence) for sentence in shown.sentences],
        nearest=[nearest_of(item) for item in shown.nearest],
        parts=[AnsweredPart.model_validate(part) for part in row.parts],
        signals=row.trace.get("signals", {}),
        withheld=shown.withheld,
        incomplete=shown.incomplete,
        feedback=Feedback.of(row),
        model=row.model,
        usage=Usage.model_validate(row.usage),
        timings=Timings.model_validate(row.timings),
        created_at=row.created_at,
    )


def library_url_of(row: MessageRow) -> str:
    """Return the URL of the library page with all documents of a list; empty if the answer shows them all."""
    query = row.trace.get("library_query", "")
    return f"/library?{query}" if query else ""


def nearest_of(item: dict[str, object]) -> Nearest:
    document = str(item["document"])
    return Nearest(document=document, title=str(item["title"]), url=passage_url(document))


class Snippet(BaseModel):
    """Words around the first hit of a search. `highlights`: start and end of each hit in `text`."""

    message: str
    field: Literal["question", "answer"]
    text: str
    highlights: list[tuple[int, int]]

    @classmethod
    def of(cls, snippet: snippets.Snippet) -> "Snippet":
        ends = list(accumulate(len(span.text) for span in snippet.spans))
        hits = zip([0, *ends], ends, snippet.spans, strict=False)
        return cls(
            message=str(snippet.message),
            field=snippet.field,
            text="".join(span.text for span in snippet.spans),
            highlights=[(start, end) for start, end, span in hits if span.is_hit],
        )


class ConversationAssistant(BaseModel):
    """`id`: null if it was deleted."""

    id: str | None
    name: str


class Conversation(RowSchema):
    """`current`: the message at the end of the displayed path; null before the first question. `snippet`: in
    a search, the words around the hit; null if only the title matches. `assistant`: the one it was started
    with; null if there is none. `expires_at`: when a conversation that is temporary, or has no question, is
    deleted; null for all others.
    """

    id: str
    title: str
    current: str | None
    pinned: bool
    folder: str | None = None
    temporary: bool = False
    expires_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    snippet: Snippet | None = None
    assistant: ConversationAssistant | None = None

    @classmethod
    def of(cls, row: ConversationRow, snippet: snippets.Snippet | None = None) -> "Conversation":
        return cls.read(
            row,
            id=str(row.id),
            current=str(row.current_id) if row.current_id else None,
            pinned=row.pinned_at is not None,
            folder=str(row.folder_id) if row.folder_id else None,
            snippet=Snippet.of(snippet) if snippet else None,
            assistant=_conversation_assistant(row),
        )


def _conversation_assistant(row: ConversationRow) -> ConversationAssistant | None:
    identity = str(row.assistant_id) if row.assistant_id else None
    return ConversationAssistant(id=identity, name=row.assistant_name) if row.assistant_name else None


class ConversationWithMessages(Conversation):
    messages: list[Answer]
