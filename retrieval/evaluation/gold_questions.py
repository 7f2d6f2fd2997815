"""Gold questions that are made in the console, for those who manage their knowledge base."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext_noop

from cairn.access.models import Role
from cairn.access.permissions import documents_for, knowledge_bases_for
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.answers import AnswerMode, Verdict
from cairn.errors import InvalidInput
from cairn.library.models import Document, KnowledgeBase
from retrieval.conversations.services import HISTORY_TURNS, load_shown_message
from retrieval.evaluation import gold_file
from retrieval.evaluation.gold_file import Kind
from retrieval.evaluation.models import GoldQuestion, GoldSource
from retrieval.models import Message, MessageState


@dataclass(frozen=True, slots=True)
class GoldDraft:
    """Draft of a gold question from the principal's own chat. `relevant`: documents that are likely to answer
    it; `searched`: others in the prompt."""

    question: str
    kind: Kind
    history: tuple[str, ...] = ()
    relevant: frozenset[UUID] = frozenset()
    searched: frozenset[UUID] = frozenset()


def gold_questions_for(principal: Principal) -> "QuerySet[GoldQuestion]":
    managed = knowledge_bases_for(principal, role=Role.MANAGER)
    present = GoldSource.objects.filter(document__deleted_at=None).select_related("document")
    rows = GoldQuestion.objects.filter(knowledge_base__in=managed)
    return rows.select_related("knowledge_base", "created_by").prefetch_related(Prefetch("sources", present))


def gold_question_for(principal: Principal, value: object) -> GoldQuestion:
    return get_or_not_found(gold_questions_for(principal), value)


def gold_question_create(
    *,
    principal: Principal,
    knowledge_base: KnowledgeBase,
    question: str,
    kind: Kind,
    history: Sequence[str] = (),
    relevant: Collection[UUID] = (),
    must_contain: Sequence[str] = (),
    message: Message | None = None,
) -> GoldQuestion:
    """Create a gold question with the quotes of the message's citations. Raises InvalidInput."""
    documents = _relevant(principal, knowledge_base, kind, relevant, must_contain)
    with transaction.atomic():
        row = GoldQuestion.objects.create(
            knowledge_base=knowledge_base,
            question=question,
            kind=kind,
            history=list(history),
            must_contain=list(must_contain),
            created_by_id=principal.user,
        )
        _sources_set(row, documents, _quotes(message, principal) if message else {})
    return row


def gold_question_update(
    *,
    principal: Principal,
    row: GoldQuestion,
    relevant: Collection[UUID] | None = None,
    **fields: object,
) -> GoldQuestion:
    """Fields that are not given stay as they are. Raises InvalidInput."""
    with transaction.atomic():
        # As it is now: words and quotes of a document that was erased since must not be written again.
        row = get_or_not_found(gold_questions_for(principal).select_for_update(of=("self",)), row.pk)
        for name, value in fields.items():
            setattr(row, name, value)
        current = {source.document_id: list(source.quotes) for source in row.sources.all()}
        requested = current if relevant is None else relevant
        documents = _relevant(principal, row.knowledge_base, Kind(row.kind), requested, row.must_contain)
        row.save()
        row.sources.all().delete()
        _sources_set(row, documents, current)
    return gold_question_for(principal, row.pk)


def gold_question_delete(*, row: GoldQuestion) -> None:
    row.delete()


def forget_document(document: UUID) -> None:
    """Words that an answer must contain come from the documents that answer it; quotes go with these."""
    GoldQuestion.objects.filter(sources__document=document).update(must_contain=[])


def _relevant(
    principal: Principal,
    base: KnowledgeBase,
    kind: Kind,
    requested: Collection[UUID],
    must_contain: Sequence[str],
) -> list[Document]:
    if kind.unanswerable and (requested or must_contain):
        raise InvalidInput(
            gettext_noop("Unanswerable questions can’t have relevant documents or required text.")
        )
    if not kind.unanswerable and not requested:
        raise InvalidInput(
            gettext_noop("Select the documents with the answer, or mark the question as unanswerable.")
        )
    found = list(documents_for(principal).filter(knowledge_base=base, pk__in=requested))
    if len(found) != len(set(requested)):
        raise InvalidInput(gettext_noop("One of the documents isn’t in this knowledge base."))
    return found


def _sources_set(
    row: GoldQuestion, documents: Iterable[Document], quotes: Mapping[UUID, Sequence[str]]
) -> None:
    GoldSource.objects.bulk_create(
        GoldSource(question=row, document=document, quotes=list(quotes.get(document.pk, ())))
        for document in documents
    )


def _quotes(message: Message, principal: Principal) -> dict[UUID, list[str]]:
    quotes: dict[UUID, list[str]] = {}
    for citation in load_shown_message(message, principal).citations:
        quotes.setdefault(citation.document_id, []).append(citation.quote)
    return quotes


def draft_of(message: Message, principal: Principal) -> GoldDraft:
    """Draft a gold question: unless rated down, the refusal or the cited documents were right."""
    cited = frozenset(citation.document_id for citation in load_shown_message(message, principal).citations)
    follows_up = message.standalone_question not in {"", message.question}
    history = _load_history(message) if follows_up else ()
    complained, refused = message.rating == "down", message.verdict == Verdict.REFUSED
    answered = Kind.FOLLOW_UP if history else Kind.PARAPHRASE
    return GoldDraft(
        question=message.question,
        kind=Kind.UNANSWERABLE if refused and not complained else answered,
        history=history,
        relevant=frozenset() if complained else cited,
        searched=cited | _find_readable_documents(message, principal),
    )


def _load_history(message: Message) -> tuple[str, ...]:
    earlier = message.conversation.messages.filter(created_at__lt=message.created_at, state=MessageState.DONE)
    earlier = earlier.exclude(mode=AnswerMode.SMALL_TALK)
    questions = list(earlier.values_list("question", flat=True))
    return tuple(questions[-HISTORY_TURNS:])


def _find_readable_documents(message: Message, principal: Principal) -> frozenset[UUID]:
    """Return the documents in the answer's prompt that may be read now."""
    chunks = [hit["chunk"] for hit in message.trace.get("hits", ())]
    found = documents_for(principal).filter(versions__chunks__in=chunks)
    return frozenset(found.values_list("pk", flat=True))


def as_gold(row: GoldQuestion) -> gold_file.GoldQuestion:
    """Only for complete ones."""
    sources = list(row.sources.all())
    return gold_file.GoldQuestion(
        id=str(row.id),
        question=row.question,
        kind=Kind(row.kind),
        history=tuple(row.history),
        relevant=tuple(source.document.source_uri for source in sources),
        quotes=tuple(quote for source in sources for quote in source.quotes if quote),
        must_contain=tuple(row.must_contain),
    )
