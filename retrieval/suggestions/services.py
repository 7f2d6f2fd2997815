"""Suggestions are generated when a version becomes active, and picked when a user opens a chat."""

import random
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from uuid import UUID

from django.db import transaction

from cairn.access.permissions import documents_for, roles_in
from cairn.access.scope import Principal
from cairn.access.selectors import scope_for
from cairn.library.models import Document, KnowledgeBase
from retrieval.search.help_languages import find_other_help
from retrieval.suggestions.asked_questions import gold_questions, popular_questions, verified_questions
from retrieval.suggestions.generator import questions_of
from retrieval.suggestions.models import ExampleQuestion, Suggestion

SHOWN = 6
BASES = 6
DEFAULT_LANGUAGE = "en"
_LOOKED_AT = 24
_SECTIONS = 2000


def suggestions_replace(document: Document, sections: Iterable[Sequence[str]] | None = None) -> None:
    """Replace the suggestions of the active version. `sections`: its passages' paths, if at hand. Files of a
    conversation get none."""
    version = document.active_version
    if version is None or document.knowledge_base.conversation is not None:
        return
    if sections is None:
        sections = version.chunks.order_by("ordinal").values_list("section", flat=True)[:_SECTIONS]
    made = questions_of(document.title, islice(sections, _SECTIONS), version.language)
    with transaction.atomic(savepoint=False):
        Suggestion.objects.filter(document=document).delete()
        Suggestion.objects.bulk_create(
            Suggestion(
                document=document,
                knowledge_base_id=document.knowledge_base_id,
                question=each.question,
                plain=each.plain,
            )
            for each in {each.question: each for each in made}.values()
        )


@dataclass(frozen=True, slots=True)
class PickedSuggestions:
    """Questions, and the knowledge bases that they were picked from."""

    questions: list[str]
    bases: frozenset[UUID]


NO_SUGGESTIONS = PickedSuggestions([], frozenset())


def suggestions_for(
    principal: Principal,
    *,
    bases: Collection[UUID] | None = None,
    document: Document | None = None,
    language: str = "",
) -> list[str]:
    """Return a few questions that documents answer which the principal may read now; see
    `pick_suggestions`."""
    return pick_suggestions(principal, bases=bases, document=document, language=language).questions


def pick_suggestions(
    principal: Principal,
    *,
    bases: Collection[UUID] | None = None,
    document: Document | None = None,
    language: str = "",
) -> PickedSuggestions:
    """Pick questions from different knowledge bases: some of `bases`, or of all that a question covers.

    Without `bases`, Cairn's own help counts only if nothing else has a question, and not in another language
    than `language`.
    """
    if document is not None:
        rows = Suggestion.objects.filter(document__in=documents_for(principal).filter(pk=document.pk))
        questions = list(rows.values_list("question", flat=True)[:SHOWN])
        return PickedSuggestions(questions, frozenset({document.knowledge_base_id}))
    if bases is not None:
        return _pick_from(principal, bases)
    found = NO_SUGGESTIONS
    for group in _groups_in_order(principal, language):
        found = _pick_from(principal, group)
        if found.questions:
            break
    return found


def _groups_in_order(principal: Principal, language: str) -> list[list[UUID]]:
    """Return the official knowledge bases that the principal may read, and then Cairn's help.

    Only if there are no official ones, unofficial ones that a question covers which names none take their
    place. The page marks suggestions from those."""
    official = list(roles_in(principal, official_only=True))
    covered = list(scope_for(principal).readable)
    manuals = set(
        KnowledgeBase.objects.help().filter(pk__in={*official, *covered}).values_list("pk", flat=True)
    )
    others = find_other_help(manuals, language) or find_other_help(manuals, DEFAULT_LANGUAGE)
    own = [base for base in official if base not in manuals] or [
        base for base in covered if base not in manuals
    ]
    return [own, [base for base in manuals if base not in others]]


def _pick_from(principal: Principal, bases: Collection[UUID]) -> PickedSuggestions:
    picks = random.sample(list(bases), min(len(bases), BASES))
    each = max(2, -(-SHOWN // max(len(picks), 1)))
    picked = chain.from_iterable(_some(principal, base, each) for base in picks)
    return PickedSuggestions(list(dict.fromkeys(picked))[:SHOWN], frozenset(picks))


def _some(principal: Principal, base: UUID, count: int) -> Sequence[str]:
    """Pick suggestions: people's first, then generated ones from a random position; plain ones last."""
    picked = list(islice(dict.fromkeys(_questions_by_people(principal, base, count)), count))
    if len(picked) == count:
        return picked
    start = random.random()  # noqa: S311 - nothing to guess
    rows = sorted(_suggestions_from(principal, base, start), key=lambda row: row.plain)
    return [*picked, *(row.question for row in rows)][:count]


def _questions_by_people(principal: Principal, base: UUID, count: int) -> Iterator[str]:
    """Yield curated questions, then those of verified answers, gold questions and popular ones."""
    curated = ExampleQuestion.objects.filter(knowledge_base=base)
    yield from curated.values_list("question", flat=True)[:count]
    yield from verified_questions(principal, count, base=base)
    yield from gold_questions(principal, count, base=base)
    yield from popular_questions(principal, base, count)


def _suggestions_from(principal: Principal, base: UUID, start: float) -> Iterator[Suggestion]:
    readable = documents_for(principal).filter(knowledge_base=base).ready()
    rows = Suggestion.objects.filter(knowledge_base=base, document__in=readable).order_by("shuffle")
    found = list(rows.filter(shuffle__gte=start)[:_LOOKED_AT])
    yield from found
    if len(found) < _LOOKED_AT:
        yield from rows.filter(shuffle__lt=start)[: _LOOKED_AT - len(found)]
