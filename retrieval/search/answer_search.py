"""Search for the passages that an answer is based on."""

import re
from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from cairn.access.scope import Scope
from cairn.access.selectors import scope_without
from cairn.library.models import KnowledgeBase
from retrieval.engine import Engine
from retrieval.index.protocol import Filters
from retrieval.search.help_languages import find_other_help, language_of_question, without_other_help
from retrieval.search.hybrid_search import NO_FILTERS, search
from retrieval.types import Hit

_CAIRN: Final = re.compile(r"\bcairn(?:['’]?s)?\b", re.IGNORECASE)


def search_for_answer(
    query: str,
    *,
    scope: Scope,
    limit: int,
    engine: Engine,
    filters: Filters = NO_FILTERS,
    question: str = "",
) -> list[Hit]:
    """Return hits as `search` does, without passages of Cairn's own help that would only pad an answer.

    If no knowledge base was named, they count only if the best hit is one of them, or if the query or the
    asker's `question` mentions Cairn. Of help that is there in several languages, one counts: that of the
    question or, if it shows none, that of the best hit.
    """
    is_limited = filters.document_ids is not None or filters.source_uri is not None
    language = "" if is_limited else language_of_question(question or query, scope)
    scope = without_other_help(scope, language)
    hits = search(query, scope=scope, filters=filters, limit=limit, engine=engine)
    found = {hit.knowledge_base for hit in hits}
    if is_limited or len(found) < 2:
        return hits
    manuals = dict(KnowledgeBase.objects.present().help().values_list("id", "help_language"))
    left_out = _find_padding(hits, scope, manuals, is_about_cairn=bool(_CAIRN.search(f"{question} {query}")))
    if not language:
        best = next((manuals[hit.knowledge_base] for hit in hits if hit.knowledge_base in manuals), "")
        left_out |= find_other_help(scope.readable, best)
    if left_out.isdisjoint(found):
        return hits
    return search(query, scope=scope_without(scope, left_out), filters=filters, limit=limit, engine=engine)


def _find_padding(
    hits: Sequence[Hit], scope: Scope, manuals: Collection[UUID], *, is_about_cairn: bool
) -> frozenset[UUID]:
    """Return the knowledge bases of the help if their passages would only pad an answer."""
    if not scope.whole or is_about_cairn or hits[0].knowledge_base in manuals:
        return frozenset()
    return frozenset(manuals)
