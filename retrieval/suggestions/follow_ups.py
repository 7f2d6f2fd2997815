"""Questions to ask after an answer: about the documents that it cites, and checked to have an answer."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Final
from uuid import UUID

from cairn.access.permissions import documents_for
from cairn.access.scope import Principal, Scope
from cairn.access.selectors import parse_id, scope_for
from cairn.answers import Verdict
from cairn.inference.embedding.cache import CachingEmbedder
from cairn.library.models import Chunk, Document
from cairn.limits.rate_limits import search_count
from retrieval.answering.prompts.evidence import deduplicate
from retrieval.answering.query.same_question import question_key
from retrieval.answering.query.understand import understand
from retrieval.answering.text.refusals import reply_language
from retrieval.conversations.answer_models import answerability_of
from retrieval.conversations.ask import EVIDENCE_HITS, NO_FILTERS
from retrieval.conversations.services import ShownMessage
from retrieval.engine import get_engine
from retrieval.gaps.verified_lookup import find_verified_answers
from retrieval.models import Citation, Message
from retrieval.search.answer_search import search_for_answer
from retrieval.suggestions.asked_questions import gold_questions, verified_questions
from retrieval.suggestions.curated import examples_of
from retrieval.suggestions.generator import Made, questions_of
from retrieval.suggestions.models import Suggestion

MAX_CHECKED: Final = 8
"""Each check is a search."""
_MAX_DOCUMENTS: Final = 3
_NEIGHBOURS: Final = 30
_MAX_EARLIER: Final = 200


def follow_ups_after(principal: Principal, shown: ShownMessage, count: int) -> list[str]:
    """Return up to `count` questions that the documents answer in the scope of the answered one.

    Counts as one search. Raises RateLimited if there is none left.
    """
    if shown.withheld or shown.message.verdict not in {Verdict.SUPPORTED, Verdict.PARTIAL}:
        return []
    documents = _find_cited_documents(principal, shown.citations)
    if not documents:
        return []
    search_count(principal)
    chosen = shown.message.chosen_knowledge_bases
    scope = scope_for(principal, None if chosen is None else [parse_id(base) for base in chosen])
    new = _without_asked(_candidates(principal, shown.citations, documents), shown.message)
    checked = islice(new, MAX_CHECKED)
    check = _AnswerabilityCheck(scope)
    return list(islice(filter(check.is_answerable, checked), count))


def _find_cited_documents(principal: Principal, citations: Sequence[Citation]) -> list[Document]:
    """Return the cited documents that may be read now, in the order of the answer."""
    ids = list(dict.fromkeys(each.document_id for each in citations))
    rows = documents_for(principal).ready().select_related("active_version", "knowledge_base").in_bulk(ids)
    return [rows[each] for each in ids if each in rows][:_MAX_DOCUMENTS]


def _candidates(
    principal: Principal, citations: Sequence[Citation], documents: Sequence[Document]
) -> Iterator[str]:
    """Yield questions about the documents: those that people wrote first, plain generated ones last."""
    ids = [document.pk for document in documents]
    yield from gold_questions(principal, MAX_CHECKED, documents=ids)
    yield from verified_questions(principal, MAX_CHECKED, documents=ids)
    quoted = _questions_of_quotes(citations, documents)
    near = [*_questions_near_quotes(citations, documents), *_load_suggestions(ids)]
    generated = [each for each in near if each.question not in quoted]
    yield from (each.question for each in generated if not each.plain)
    yield from examples_of(documents[0].knowledge_base)
    yield from (each.question for each in generated if each.plain)


def _questions_near_quotes(citations: Sequence[Citation], documents: Sequence[Document]) -> list[Made]:
    """Return questions out of the sections around the quotes, the nearest first."""
    by_document = {document.pk: document for document in documents}
    chunks = Chunk.objects.in_bulk([each.chunk for each in citations])
    found = list[Made]()
    for document in by_document.values():
        cited = [
            chunks[each.chunk]
            for each in citations
            if each.document_id == document.pk and each.chunk in chunks
        ]
        found += _questions_around(document, cited)
    return found


def _questions_of_quotes(citations: Sequence[Citation], documents: Sequence[Document]) -> set[str]:
    """Return the questions out of the quoted sections themselves, which have just been answered."""
    by_document = {document.pk: document for document in documents}
    return {
        made.question
        for each in citations
        if (document := by_document.get(each.document_id)) and document.active_version
        for heading in each.section
        for made in questions_of(document.title, [[heading]], document.active_version.language)
    }


def _questions_around(document: Document, cited: Sequence[Chunk]) -> list[Made]:
    version = document.active_version
    current = [chunk for chunk in cited if version is not None and chunk.version_id == version.pk]
    if version is None or not current:
        return []
    at = current[0].ordinal
    around = Chunk.objects.filter(
        version=version, ordinal__gte=at - _NEIGHBOURS, ordinal__lte=at + _NEIGHBOURS
    )
    rows = sorted(around.values_list("ordinal", "section"), key=lambda row: abs(row[0] - at))
    quoted = [chunk.section for chunk in current]
    sections = [section for _, section in rows if section and section not in quoted]
    return questions_of(document.title, sections, version.language)


def _load_suggestions(documents: Sequence[UUID]) -> list[Made]:
    rows = Suggestion.objects.filter(document__in=documents).order_by("id")[:MAX_CHECKED]
    return [Made(row.question, row.plain) for row in rows]


def _without_asked(questions: Iterable[str], message: Message) -> Iterator[str]:
    """Leave out what was asked in the conversation, and repetitions."""
    earlier = message.conversation.messages.order_by("-created_at").values_list("question", flat=True)
    asked = chain(earlier[:_MAX_EARLIER], [message.question, message.standalone_question])
    seen = set(map(question_key, asked))
    for question in questions:
        key = question_key(question)
        if key not in seen:
            seen.add(key)
            yield question


class _AnswerabilityCheck:
    """Decides as an answer does whether the documents of the scope contain one, without a language model."""

    def __init__(self, scope: Scope) -> None:
        engine = get_engine()
        self._scope = scope
        self._engine = replace(engine.for_answers(), embedder=CachingEmbedder(engine.embedder))
        self._judge = answerability_of(self._engine)

    def is_answerable(self, question: str) -> bool:
        if find_verified_answers(question, scope=self._scope, filters=NO_FILTERS):
            return True
        parts = understand(question, [], None, lambda: False).parts
        return bool(parts) and all(self._has_evidence(part.query) for part in parts)

    def _has_evidence(self, query: str) -> bool:
        hits = search_for_answer(query, scope=self._scope, limit=EVIDENCE_HITS, engine=self._engine)
        return self._judge.judge(query, deduplicate(hits), reply_language(query)).answerable
