"""Search for passages that the principal may read."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.utils.translation import gettext_noop

from cairn.access.scope import Scope
from cairn.access.selectors import chunks_for
from cairn.errors import InvalidInput
from cairn.library.cell_ranges import CellLine
from cairn.library.links import links_from_json
from cairn.library.models import Chunk
from cairn.telemetry.metrics import SEARCH_SECONDS, counting_model_failures
from cairn.telemetry.span_attributes import DocumentList, SpanKind, document_attributes, embedding_attributes
from cairn.telemetry.tracing import step
from retrieval.engine import Engine, get_engine
from retrieval.index.protocol import Candidates, Filters
from retrieval.passages.dates import metadata_date
from retrieval.passages.locations import location_of
from retrieval.passages.near_duplicates import Fingerprint
from retrieval.search.bm25 import query_sparse
from retrieval.search.fusion import Ranking, rank_candidates
from retrieval.search.phrases import phrases_first, phrases_in
from retrieval.search.reranking import rerank_depth, rerank_hits, select_reranker
from retrieval.search.traced_documents import traced_documents
from retrieval.types import Hit, Owner, Scores

NO_FILTERS = Filters()
MAX_QUERY_CHARACTERS = 8_000  # far beyond what an embedding model reads of a question
MIN_CANDIDATES = 50
CANDIDATES_PER_HIT = 4
ROWS_PER_HIT = 2
DEPTH_FACTOR = 4
MAX_ROUNDS = 3


def search(
    query: str,
    *,
    scope: Scope,
    filters: Filters = NO_FILTERS,
    limit: int = 10,
    ranking: Ranking = Ranking.HYBRID,
    engine: Engine | None = None,
) -> list[Hit]:
    """Return hits, best first, without near-duplicates. Raises InvalidInput for a blank query.

    With a reranker or a quoted phrase, a hybrid search considers more than `limit`. Pages, REST, MCP, the
    playground, answers and `CairnRetriever` all search through this function.
    """
    text = clean_query(query)
    if not scope or limit < 1:
        return []
    with step("search", SEARCH_SECONDS, SpanKind.RETRIEVER) as span:
        hits = _search(text, scope, filters, limit, ranking, engine or get_engine())
        if span.is_recording():
            span.set_attributes(document_attributes(DocumentList.RETRIEVED, traced_documents(hits)))
        return hits


def _search(
    text: str, scope: Scope, filters: Filters, limit: int, ranking: Ranking, engine: Engine
) -> list[Hit]:
    if ranking is not Ranking.HYBRID:
        return _find_hits(text, scope, filters, limit, ranking, engine)
    phrases = phrases_in(text)
    reranker = select_reranker(text, engine.reranker)
    choice = limit if reranker is None and not phrases else rerank_depth(limit, None if phrases else reranker)
    hits = rerank_hits(text, _find_hits(text, scope, filters, choice, ranking, engine), reranker)
    return phrases_first(hits, phrases)[:limit]


def _find_hits(
    text: str, scope: Scope, filters: Filters, limit: int, ranking: Ranking, engine: Engine
) -> list[Hit]:
    model = engine.embedder
    with (
        counting_model_failures("embedding"),
        step("embed query", kind=SpanKind.EMBEDDING, attributes=embedding_attributes(model.model)),
    ):
        dense = model.embed_query(text)
    sparse = query_sparse(text)
    depth, hits = max(MIN_CANDIDATES, CANDIDATES_PER_HIT * limit), list[Hit]()
    for _ in range(MAX_ROUNDS):
        found = engine.index.query(dense, sparse, scope=scope, filters=filters, limit=depth)
        hits = _load_readable(
            rank_candidates(found, ranking, depth=depth, terms=len(sparse.indices)), scope, limit
        )
        if len(hits) == limit or _is_exhausted(found, ranking, depth):
            break
        depth *= DEPTH_FACTOR  # what SQL dropped, or what said the same, may hide what may be read
    return hits


def _is_exhausted(found: Candidates, ranking: Ranking, depth: int) -> bool:
    """Return whether the index has no further candidates. Every chunk has a dense vector; not all share a
    word."""
    return len(found.sparse if ranking is Ranking.BM25 else found.dense) < depth


def clean_query(query: str) -> str:
    text = query.encode("utf-8", "ignore").decode().replace("\0", " ").strip()
    if not text:
        raise InvalidInput(gettext_noop("The query is empty."))
    return text[:MAX_QUERY_CHARACTERS]


def _load_readable(ranked: Sequence[tuple[UUID, Scores]], scope: Scope, limit: int) -> list[Hit]:
    """Load hits that SQL confirms as readable now. Lower ranks are only loaded if needed."""
    hits, unique = list[Hit](), list[Fingerprint]()
    cut = ROWS_PER_HIT * limit
    for batch in (ranked[:cut], ranked[cut:]):
        rows = chunks_for(scope, [chunk for chunk, _ in batch]).order_by().in_bulk() if batch else {}
        for row, scores in ((rows[chunk], scores) for chunk, scores in batch if chunk in rows):
            fingerprint = Fingerprint(row.text)
            if any(fingerprint.matches(other) for other in unique):
                continue
            unique.append(fingerprint)
            hits.append(hit_of(row, scores))
            if len(hits) == limit:
                return hits
    return hits


def reload_hits(scope: Scope, scores: Mapping[UUID, float]) -> list[Hit]:
    """Return earlier hits with their scores, if they still exist and are readable."""
    rows = chunks_for(scope, list(scores)).order_by().in_bulk() if scores else {}
    known = {chunk: Scores(None, None, score) for chunk, score in scores.items() if chunk in rows}
    return [hit_of(rows[chunk], score) for chunk, score in known.items()]


def load_passage(scope: Scope, version: UUID, ordinal: int) -> Hit | None:
    """Return the passage of a version with this number, None unless it is readable now."""
    ids = Chunk.objects.filter(version=version, ordinal=ordinal).values_list("id", flat=True)
    row = chunks_for(scope, list(ids)).first()
    return None if row is None else hit_of(row, Scores(None, None, 0.0))


def hit_of(chunk: Chunk, scores: Scores) -> Hit:
    document, media_type = chunk.version.document, chunk.version.media_type
    cells, base = CellLine.all_from_json(chunk.cells), document.knowledge_base
    return Hit(
        chunk=chunk.id,
        document=document.id,
        version=chunk.version_id,
        knowledge_base=document.knowledge_base_id,
        title=document.title,
        source_uri=document.source_uri,
        section=tuple(chunk.section),
        page=chunk.page,
        ordinal=chunk.ordinal,
        text=chunk.text,
        elements=tuple(chunk.elements),
        scores=scores,
        updated_at=document.updated_at,
        media_type=media_type,
        cells=cells,
        links=links_from_json(chunk.links),
        code=tuple((start, end) for start, end in chunk.code) if chunk.code else None,
        location=location_of(media_type, chunk.page, cells),
        dated=metadata_date({**chunk.version.properties, **document.metadata}),
        knowledge_base_name=base.name,
        knowledge_base_owner=Owner(base.owner.id, base.owner.username) if base.owner else None,
        official=base.official,
    )
