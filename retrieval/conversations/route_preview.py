"""Shows where recent questions would go by today's rules. It sends nothing to any model."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from cairn.library.models import Document
from cairn.library.outside_models import find_forbidden_outside
from retrieval.models import Message

OUTSIDE: Final = "outside"
INSIDE: Final = "inside"
QUOTES: Final = "quotes"
NO_PASSAGES: Final = "no_passages"
_IDS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class RoutePreview:
    """`routes`: how many questions go where. `forbidding`: how many may not leave because of each knowledge
    base, by its name; "" for documents that no longer exist."""

    routes: Counter[str] = field(default_factory=Counter)
    forbidding: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Step:
    """A question, the one before it, and the documents behind its answer."""

    parent: UUID | None
    documents: frozenset[UUID]


def preview_routes(*, last: int, is_outside: bool, has_inside: bool) -> RoutePreview:
    """Route the last questions by the passages that they and the answers before them found. `is_outside`: an
    outside model answers by default. `has_inside`: an inside model answers what it may not."""
    recent = Message.objects.order_by("-created_at", "-id").values_list("id", "conversation_id")[:last]
    steps = _load_steps({conversation for _, conversation in recent})
    paths = {message: _collect_documents(message, steps) for message, _ in recent}
    forbidden = _load_forbidden({document for path in paths.values() for document in path})
    found = RoutePreview()
    for message, documents in paths.items():
        homes = {forbidden[document] for document in documents if document in forbidden}
        found.routes[_choose_route(steps[message], homes, is_outside, has_inside)] += 1
        if steps[message].documents:
            found.forbidding.update(homes)
    return found


def _choose_route(step: _Step, homes: Collection[str], is_outside: bool, has_inside: bool) -> str:
    if not step.documents:
        return NO_PASSAGES
    if not is_outside:
        return INSIDE
    if not homes:
        return OUTSIDE
    return INSIDE if has_inside else QUOTES


def _load_steps(conversations: Collection[UUID]) -> dict[UUID, _Step]:
    found: dict[UUID, _Step] = {}
    for some in _in_batches(conversations):
        rows = Message.objects.filter(conversation__in=some).values_list("id", "parent_id", "trace")
        for message, parent, trace in rows.iterator():
            hits = trace.get("hits", ())
            found[message] = _Step(parent, frozenset(UUID(str(hit["document"])) for hit in hits))
    return found


def _collect_documents(message: UUID, steps: Mapping[UUID, _Step]) -> frozenset[UUID]:
    return frozenset(document for step in _walk_up(message, steps) for document in step.documents)


def _walk_up(message: UUID, steps: Mapping[UUID, _Step]) -> Iterator[_Step]:
    at: UUID | None = message
    while at is not None and (step := steps.get(at)) is not None:
        yield step
        at = step.parent


def _in_batches(ids: Collection[UUID]) -> Iterator[list[UUID]]:
    rows = list(ids)
    for start in range(0, len(rows), _IDS_AT_ONCE):
        yield rows[start : start + _IDS_AT_ONCE]


def _load_forbidden(documents: Collection[UUID]) -> dict[UUID, str]:
    """Return the documents that no outside model may read, with the names of their knowledge bases."""
    found: dict[UUID, str] = {}
    for some in _in_batches(documents):
        forbidden = find_forbidden_outside(frozenset(some))
        homes = dict(Document.objects.filter(pk__in=forbidden).values_list("pk", "knowledge_base__name"))
        found |= {document: homes.get(document, "") for document in forbidden}
    return found
