"""Questions and answers as shown in the chat, limited to what the viewer may read now."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from cairn.answers import AnswerMode, Intent
from retrieval.answering.text.messages import render_message
from retrieval.answering.text.refusals import ReplyLanguage, language_of_refusal
from retrieval.answering.text.spelling import quote_as_typed
from retrieval.conversations.services import ERASED, ShownMessage
from retrieval.conversations.small_talk import is_small_talk
from retrieval.models import Message
from retrieval.types import SpellingCorrection
from web.api.schemas import Citation, Verified, citations_of, library_url_of, versions_of
from web.i18n.localize import localize, number
from web.pages.chat.gap_sharing import passing_on_by_message
from web.presentation.markdown import render_markdown

LONG_QUESTION = 160
FOLDED_QUESTION = 600
PACKAGED_MODEL = "SmolLM2-135M-Instruct"
ICONS = {
    "supported": "check",
    "partial": "info",
    "refused": "none",
    "stopped": "stop",
    "withheld": "info",
    "small-talk": "",
    "declined": "",
}
WITHOUT_VERDICT = frozenset({"small-talk", "declined"})
"""Tones of replies for which nothing is searched."""

SHOW_DOCUMENTS = frozenset({Intent.LIST, Intent.FIND})
"""Intents whose answers show documents, and state nothing that a passage could support."""


class CitedPassage(NamedTuple):
    marker: int
    where: str


@dataclass(frozen=True, slots=True)
class Source:
    """A cited document. `base` and `owner`: its knowledge base and the person responsible for it. `verified`:
    who is responsible for the verified answer and until when, if it is one.
    """

    document: str
    title: str
    base: str
    owner: str
    official: bool
    verified: Verified | None
    passages: tuple[CitedPassage, ...]

    @classmethod
    def of(cls, citations: Sequence[Citation]) -> "Source":
        """Return the source of citations of one document."""
        first = citations[0]
        owner = first.knowledge_base_owner
        return cls(
            first.document,
            first.title,
            first.knowledge_base_name,
            owner.label if owner else "",
            first.official,
            first.verified,
            tuple(CitedPassage(each.marker, _describe_location(each)) for each in citations),
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Texts of a page around the reason of a refusal, in the language of the reason."""

    language: ReplyLanguage
    related: str
    advice: str

    @classmethod
    def of(cls, shown: ShownMessage) -> "Refusal":
        language = language_of_refusal(shown.reason, shown.message.question)
        advice = "being_read" if shown.message.trace.get("documents_being_read") else "advice"
        return cls(language, *(render_message(key, language) for key in ("related", advice)))


@dataclass(frozen=True, slots=True)
class TurnView:
    """A question and its answer. `tone` is the verdict, or the state of what has none; `citations`
    are for the scripts. `understood`: the standalone question, if different. `siblings`: ids of all
    versions in its place. `language`: of a reply to small talk. `refusal`: the texts around the reason of a
    refusal. `passing_on`: as in `web.pages.chat.gap_sharing`, empty if there is no gap. `library_url`: the
    page with the rest of a list.
    `spelling`: corrected words; `question_as_typed` has them in quotation marks, so that they stay.
    `documents`: those that a list or a search for a document shows, in place of `sources`. `written_by`: a
    sentence with the model, empty if it is the packaged one.
    """

    id: UUID
    parent: UUID | None
    siblings: tuple[UUID, ...]
    question: str
    understood: str
    state: str
    html: SafeString | None
    language: str
    tone: str
    verdict_line: str
    reason: str
    unsupported: tuple[str, ...]
    sources: tuple[Source, ...]
    nearest: tuple[dict[str, object], ...]
    refusal: Refusal | None
    citations: list[dict[str, Any]]
    incomplete: bool
    rating: str
    rating_reason: str
    rating_comment: str
    passing_on: str
    library_url: str
    documents: tuple[Citation, ...]
    spelling: tuple[SpellingCorrection, ...]
    written_by: str

    @property
    def question_as_typed(self) -> str:
        return quote_as_typed(self.question, self.spelling)

    @property
    def number(self) -> int:
        """Position among its siblings, from 1."""
        return self.siblings.index(self.id) + 1

    @property
    def before(self) -> UUID | None:
        return self.siblings[self.number - 2] if self.number > 1 else None

    @property
    def after(self) -> UUID | None:
        return self.siblings[self.number] if self.number < len(self.siblings) else None

    @property
    def long(self) -> bool:
        return len(self.question) > LONG_QUESTION

    @property
    def folded(self) -> bool:
        """Whether the question is so long that it is collapsed."""
        return len(self.question) > FOLDED_QUESTION

    @property
    def has_verdict(self) -> bool:
        """Whether it is an answer, and not a reply to small talk or of the usage policy."""
        return self.tone not in WITHOUT_VERDICT

    @property
    def icon(self) -> str:
        return ICONS[self.tone]


def turn_views(messages: Sequence[ShownMessage]) -> list[TurnView]:
    versions = versions_of(citation for shown in messages for citation in shown.citations)
    passing_on = passing_on_by_message(shown.message for shown in messages)
    return [
        _turn_view(
            shown,
            _by_marker(citations_of(shown.citations, versions)),
            passing_on.get(shown.message.id, ""),
        )
        for shown in messages
    ]


def _turn_view(shown: ShownMessage, citations: list[Citation], passing_on: str) -> TurnView:
    message = shown.message
    tone = _tone(shown)
    shows_documents = tone == "supported" and message.trace.get("intent") in SHOW_DOCUMENTS
    refusal = Refusal.of(shown) if tone == "refused" else None
    return TurnView(
        id=message.id,
        parent=message.parent_id,
        siblings=tuple(shown.siblings),
        question=message.question,
        understood=_find_rephrasing(message) if tone not in WITHOUT_VERDICT else "",
        state=shown.state,
        html=_render_answer(shown.answer, citations),
        language=message.trace.get("language", "") if tone == "small-talk" else "",
        tone=tone,
        verdict_line=render_message("refused", refusal.language)
        if refusal
        else _verdict_line(tone, message, citations),
        reason=_reason(shown, tone),
        unsupported=_find_unsupported_sentences(shown) if tone == "partial" else (),
        sources=() if shows_documents else _group_by_document(citations),
        nearest=tuple(shown.nearest) if refusal else (),
        refusal=refusal,
        citations=[citation.model_dump(mode="json") for citation in citations],
        incomplete=shown.incomplete,
        rating=message.rating,
        passing_on=passing_on,
        documents=tuple(citations) if shows_documents else (),
        spelling=tuple(SpellingCorrection(**each) for each in shown.spelling),
        library_url="" if tone == "withheld" else library_url_of(message),
        rating_reason=message.rating_reason,
        rating_comment=message.rating_comment,
        written_by="" if tone == "withheld" else _name_writer(message),
    )


def _name_writer(message: Message) -> str:
    """Return the model that wrote an answer, "" for the packaged one and for quotes."""
    route = message.trace.get("route") or {}
    name = str(route.get("model", ""))
    if message.mode != AnswerMode.GENERATED or not name or PACKAGED_MODEL in name:
        return ""
    if route.get("location") == "outside":
        return gettext("Written by %(name)s, an external model") % {"name": name}
    return gettext("Written by %(name)s") % {"name": name}


def _reason(shown: ShownMessage, tone: str) -> str:
    if tone == "refused":
        return shown.reason  # in the question's language, like all that stands around it
    return localize(shown.reason) if tone == "partial" or shown.state == "failed" else ""


def _find_rephrasing(message: Message) -> str:
    same = message.standalone_question.split() == message.question.split()
    return "" if same else message.standalone_question


def _find_unsupported_sentences(shown: ShownMessage) -> tuple[str, ...]:
    """Return displayed sentences that no passage supports. Others were removed from the answer, or are
    repetitions that were removed.
    """
    if shown.message.mode == "extractive":
        return ()
    traced = {str(item["text"]) for item in shown.sentences if item["supported"]}
    texts = dict.fromkeys(str(item["text"]) for item in shown.sentences if not item["supported"])
    return tuple(text for text in texts if text in shown.answer and text not in traced)


def _render_answer(answer: str, citations: Sequence[Citation]) -> SafeString | None:
    if not answer:
        return None
    links = {each.marker: [(link.text, link.url) for link in each.links] for each in citations}
    return render_markdown(answer, {each.marker: _label(each) for each in citations}, links)


def _by_marker(citations: Sequence[Citation]) -> list[Citation]:
    return sorted(citations, key=lambda citation: citation.marker)


def _group_by_document(citations: Iterable[Citation]) -> tuple[Source, ...]:
    """Return the cited documents in the order in which the answer first cites them."""
    by_document: dict[str, list[Citation]] = {}
    for citation in citations:
        by_document.setdefault(citation.document, []).append(citation)
    return tuple(map(Source.of, by_document.values()))


def _tone(shown: ShownMessage) -> str:
    if shown.withheld or shown.answer == ERASED:
        return "withheld"
    if shown.state == "stopped":
        return "stopped"
    if is_small_talk(shown.message):
        return "small-talk"
    if shown.message.mode == AnswerMode.DECLINED:
        return "declined"
    return shown.message.verdict if shown.message.verdict in ICONS else "stopped"


def _verdict_line(tone: str, message: Message, citations: Sequence[Citation]) -> str:
    count, mode = len(citations), message.mode
    match tone:
        case "supported" if message.trace.get("intent") in SHOW_DOCUMENTS:
            line = ngettext("{n} document shown", "{n} documents shown", count)
            return line.format(n=number(count))
        case "supported" if mode == "verified":
            return _describe_verification(citations)
        case "supported":
            line = ngettext("Supported by {n} passage", "Supported by {n} passages", count)
            return line.format(n=number(count))
        case "partial":
            if mode != "extractive":
                return gettext("Partly supported")
            line = ngettext("Quoted from {n} passage", "Quoted from {n} passages", count)
            return line.format(n=number(count))
        case "withheld":
            return gettext("No longer available")
        case "small-talk" | "declined":
            return ""
        case _:
            return gettext("Stopped")


def _describe_verification(citations: Sequence[Citation]) -> str:
    """Say who verified the answer, as long as it is valid."""
    verified = [citation.verified for citation in citations]
    if not verified or None in verified:
        return gettext("This answer is no longer verified")
    names = ", ".join(dict.fromkeys(each.label for each in verified if each and each.label))
    return gettext("Verified answer by {names}").format(names=names) if names else gettext("Verified answer")


def _label(citation: Citation) -> str:
    what = ", ".join(filter(None, (citation.title, localize(citation.location or ""))))
    return gettext("Source {number}: {what}").format(number=citation.marker, what=what)


def _describe_location(citation: Citation) -> str:
    if citation.location:
        return localize(citation.location)
    section = [part for part in citation.section if part and part != citation.title]
    return section[-1] if section else ""
