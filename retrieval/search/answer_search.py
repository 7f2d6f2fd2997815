"""Search for the passages that an answer is based on."""

import re
from typing import Final

from cairn.access.scope import Scope
from cairn.access.selectors import scope_without
from cairn.library.models import KnowledgeBase
from retrieval.engine import Engine
from retrieval.index.protocol import Filters
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
    asker's `question` mentions Cairn.
    """
    hits = search(query, scope=scope, filters=filters, limit=limit, engine=engine)
    named = not scope.whole or filters.document_ids is not None or filters.source_uri is not None
    found = {hit.knowledge_base for hit in hits}
    if named or len(found) < 2 or _CAIRN.search(f"{question} {query}"):
        return hits
    manuals = set(KnowledgeBase.objects.present().help().values_list("id", flat=True))
    if manuals.isdisjoint(found) or hits[0].knowledge_base in manuals:
        return hits
    return search(query, scope=scope_without(scope, manuals), filters=filters, limit=limit, engine=engine)
