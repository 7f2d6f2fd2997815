import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone
from llama_index.core.schema import MetadataMode

from cairn.access.models import Role
from cairn.access.scope import Principal, Scope
from cairn.access.selectors import scope_for
from cairn.access.services import grant_give, reader_tokens, readers_replace
from cairn.accounts.models import User
from cairn.errors import ConfigurationError, InvalidInput, Unavailable
from cairn.inference import packaged_models, registry
from cairn.inference.protocols import Vectors
from cairn.inference.registry import lazy
from cairn.library.models import Chunk, Document, DocumentVersion, KnowledgeBase
from cairn.settings import Environment
from cairn.telemetry.throttled_log import ThrottledLogger
from retrieval.engine import Engine, use
from retrieval.index.protocol import Candidate, Candidates, Filters, Point, Sparse
from retrieval.index.qdrant_edge import EdgeIndex
from retrieval.search import hybrid_search as searching
from retrieval.search import reranking
from retrieval.search.bm25 import document_sparse
from retrieval.search.hybrid_search import search
from retrieval.search.llama_index import CairnRetriever
from tests.fakes import FakeChat, FakeEmbedder, FakeReranker
from tests.principals import SETUP

pytestmark = pytest.mark.django_db


class FakeIndex:
    """Returns chunk ids in a given order and records its queries. Filters nothing."""

    def __init__(self) -> None:
        self.ranking: list[UUID] = []
        self.asked: list[tuple[Scope, Filters, int]] = []

    def query(
        self, dense: Vectors, sparse: Sparse, *, scope: Scope, filters: Filters, limit: int
    ) -> Candidates:
        self.asked.append((scope, filters, limit))
        return Candidates(
            dense=[Candidate(each, 1.0 - n / 1e4) for n, each in enumerate(self.ranking[:limit])]
        )

    def upsert(self, points: Sequence[Point]) -> None: ...
    def delete_version(self, version: UUID) -> None: ...
    def delete_document(self, document: UUID) -> None: ...
    def set_fields(self, document: UUID, *, readers: Sequence[str], tags: Sequence[str]) -> None: ...
    def close(self) -> None: ...
    def count(self, *, document: UUID | None = None, version: UUID | None = None) -> int:
        return len(self.ranking)


Add = Callable[..., list[Chunk]]


@pytest.fixture
def admin(make_user: Callable[..., User], principal_of: Callable[[User], Principal]) -> Principal:
    return principal_of(make_user("root", is_admin=True))


@pytest.fixture
def ann(make_user: Callable[..., User], principal_of: Callable[[User], Principal]) -> Principal:
    return principal_of(make_user("ann"))


@pytest.fixture
def base(make_knowledge_base: Callable[..., KnowledgeBase], admin: Principal) -> KnowledgeBase:
    return make_knowledge_base("Handbook", admin, readers=("everyone",))


@pytest.fixture
def fake_index() -> FakeIndex:
    return FakeIndex()


@pytest.fixture
def fake(fake_index: FakeIndex) -> Engine:
    return Engine(FakeEmbedder(), fake_index, FakeChat())


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Engine]:
    embedder = FakeEmbedder()
    index = EdgeIndex.create(tmp_path / "index", dimension=embedder.dimension)
    yield Engine(embedder, index, FakeChat())
    index.close()


def document_with(base: KnowledgeBase, *texts: str, title: str = "Leave") -> list[Chunk]:
    """A document that is ready, with a chunk per text."""
    document = Document.objects.create(
        knowledge_base=base, source_key=uuid4().hex, source_uri="leave.md", title=title
    )
    version = DocumentVersion.objects.create(
        document=document, number=1, filename="leave.md", original="x", size=1, sha256="x", state="ready"
    )
    document.active_version = document.latest_version = version
    document.save()
    return Chunk.objects.bulk_create(_chunk(version, ordinal, text) for ordinal, text in enumerate(texts))


def _chunk(version: DocumentVersion, ordinal: int, text: str) -> Chunk:
    return Chunk(
        id=uuid4(),
        version=version,
        ordinal=ordinal,
        text=text,
        section=["Types of leave"],
        page=ordinal + 1,
        elements=[ordinal],
        tokens=len(text.split()),
        sha256=sha256(text.encode()).hexdigest(),
    )


def put_into(parts: Engine, chunks: Sequence[Chunk]) -> None:
    vectors = parts.embedder.embed_documents([chunk.text for chunk in chunks])
    parts.index.upsert([_point(chunk, vector) for chunk, vector in zip(chunks, vectors, strict=True)])


def _point(chunk: Chunk, vector: Vectors) -> Point:
    document = chunk.version.document
    return Point(
        id=chunk.id,
        dense=vector,
        sparse=document_sparse(chunk.text),
        knowledge_base=document.knowledge_base_id,
        document=document.id,
        version=chunk.version_id,
        readers=reader_tokens(document),
        source_uri=document.source_uri,
        created_at=document.created_at.timestamp(),
    )


def test_best_passage_is_first_with_all_fields(real: Engine, base: KnowledgeBase, ann: Principal) -> None:
    chunks = document_with(
        base, "Parking is free.", "Annual leave can be donated to a colleague.", "Ask Bob."
    )
    put_into(real, chunks)
    hits = search("donate annual leave", scope=scope_for(ann), engine=real)
    document = chunks[1].version.document
    best = hits[0]
    assert (best.chunk, best.document, best.version) == (chunks[1].id, document.id, chunks[1].version_id)
    assert (best.title, best.source_uri, best.knowledge_base) == ("Leave", "leave.md", base.id)
    assert (best.section, best.page, best.ordinal, best.elements) == (("Types of leave",), 2, 1, (1,))
    assert best.text == "Annual leave can be donated to a colleague."
    assert best.scores.dense is not None
    assert best.scores.sparse is not None
    assert best.score == best.scores.fused >= hits[1].score
    assert [hit.chunk for hit in search("donate annual leave", scope=scope_for(ann), engine=real)] == [
        hit.chunk for hit in hits
    ]


def test_passages_found_only_by_words_are_returned(real: Engine, base: KnowledgeBase, ann: Principal) -> None:
    *others, form = document_with(base, *(f"Pay grade {number}" for number in range(80)), "Form XK7741")
    put_into(real, others)
    far_away = np.roll(real.embedder.embed_query("Form XK7741"), 1)
    real.index.upsert([_point(form, far_away)])
    assert search("XK7741", scope=scope_for(ann), engine=real, limit=1)[0].chunk == form.id


def test_unreadable_knowledge_bases_are_not_searched(
    real: Engine,
    base: KnowledgeBase,
    make_knowledge_base: Callable[..., KnowledgeBase],
    admin: Principal,
    ann: Principal,
) -> None:
    closed = make_knowledge_base("Board", admin)
    put_into(real, document_with(closed, "The merger is in May."))
    assert search("merger", scope=scope_for(ann), engine=real) == []
    assert len(search("merger", scope=scope_for(admin), engine=real)) == 1
    grant = grant_give(knowledge_base=closed, subject=f"user:{ann.user}", role=Role.READER, principal=SETUP)
    assert len(search("merger", scope=scope_for(ann), engine=real)) == 1
    grant.delete()
    assert search("merger", scope=scope_for(ann), engine=real) == []


def test_sql_permissions_overrule_the_index(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, admin: Principal, ann: Principal
) -> None:
    """The index here finds everything for everyone, as one that is behind might."""
    narrowed, deleted, replaced, left = (document_with(base, f"text {number}")[0] for number in range(4))
    readers_replace(document=narrowed.version.document, readers=[], actor=None)
    Document.objects.filter(pk=deleted.version.document_id).update(deleted_at=timezone.now())
    Document.objects.filter(pk=replaced.version.document_id).update(active_version=None)
    fake_index.ranking = [narrowed.id, deleted.id, replaced.id, uuid4(), left.id]
    assert [hit.chunk for hit in search("text", scope=scope_for(ann), engine=fake)] == [left.id]
    assert {hit.chunk for hit in search("text", scope=scope_for(admin), engine=fake)} == {
        narrowed.id,
        left.id,
    }


def test_knowledge_base_scope_is_enforced_in_sql(
    fake: Engine,
    fake_index: FakeIndex,
    base: KnowledgeBase,
    make_knowledge_base: Callable[..., KnowledgeBase],
    admin: Principal,
) -> None:
    elsewhere = document_with(make_knowledge_base("Other", admin), "text")[0]
    fake_index.ranking = [elsewhere.id]
    assert search("text", scope=scope_for(admin, [base.id]), engine=fake) == []


def test_search_uses_one_sql_query(
    fake: Engine,
    fake_index: FakeIndex,
    base: KnowledgeBase,
    ann: Principal,
    django_assert_num_queries: Callable[[int], Iterator[None]],
) -> None:
    fake_index.ranking = [chunk.id for chunk in document_with(base, *map(str, range(20)))]
    scope = scope_for(ann)
    with django_assert_num_queries(1):  # type: ignore[attr-defined] # a context manager
        hits = search("text", scope=scope, engine=fake)
    assert len(hits) == 10


def test_dropped_hits_do_not_displace_readable_ones(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, ann: Principal
) -> None:
    chunks = document_with(base, "one", "two", "three")
    fake_index.ranking = [*(uuid4() for _ in range(120)), *(chunk.id for chunk in chunks)]
    hits = search("text", scope=scope_for(ann), engine=fake, limit=2)
    assert [hit.chunk for hit in hits] == [chunks[0].id, chunks[1].id]
    assert [limit for _, _, limit in fake_index.asked] == [50, 200]


def test_deeper_search_is_bounded(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, ann: Principal
) -> None:
    fake_index.ranking = [uuid4() for _ in range(5000)]
    assert search("text", scope=scope_for(ann), engine=fake) == []
    assert [limit for _, _, limit in fake_index.asked] == [50, 200, 800]


def test_small_library_is_searched_once(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, ann: Principal
) -> None:
    fake_index.ranking = [chunk.id for chunk in document_with(base, "one", "two")]
    assert len(search("text", scope=scope_for(ann), engine=fake, limit=10)) == 2
    assert len(fake_index.asked) == 1


def test_equal_texts_are_returned_once(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, ann: Principal
) -> None:
    first, other = document_with(base, "same text", "other text")
    (copy,) = document_with(base, "same text", title="A copy")
    fake_index.ranking = [first.id, copy.id, other.id]
    hits = search("text", scope=scope_for(ann), engine=fake, limit=2)
    assert [hit.chunk for hit in hits] == [first.id, other.id]


def test_nearly_equal_texts_are_returned_once_and_replaced_by_others(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, ann: Principal
) -> None:
    rule = (
        "Staff who travel for work hand in the voucher and all receipts of the trip when they are back at {}"
    )
    copies = [
        document_with(base, rule.format(f"the office{end}"), title=f"Copy {end}")[0]
        for end in ("", ".", " again")
    ]
    others = document_with(base, rule.format("9 am"), rule.format("8 am"), "Parking is free.")
    fake_index.ranking = [chunk.id for chunk in (*copies, *others)]
    hits = search("text", scope=scope_for(ann), engine=fake, limit=3)
    assert [hit.chunk for hit in hits] == [copies[0].id, others[0].id, others[1].id]


def test_best_readable_copy_represents_duplicates(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, ann: Principal
) -> None:
    closed, open_ = (document_with(base, "The voucher is due in May.", title=title)[0] for title in "AB")
    readers_replace(document=closed.version.document, readers=[], actor=None)
    fake_index.ranking = [closed.id, open_.id]
    assert [hit.chunk for hit in search("text", scope=scope_for(ann), engine=fake)] == [open_.id]


def test_quoted_phrase_outranks_nearer_passages(real: Engine, base: KnowledgeBase, ann: Principal) -> None:
    near = [f"Leave that was carried over, over and over: carried leave number {n}" for n in range(20)]
    chunks = document_with(base, *near, "Of carried-over leave nothing is paid out in many other cases.")
    put_into(real, chunks)
    plain, quoted = (
        [hit.chunk for hit in search(query, scope=scope_for(ann), engine=real, limit=5)]
        for query in ("carried over leave number", '"carried over leave" number')
    )
    assert chunks[-1].id not in plain
    assert quoted[0] == chunks[-1].id
    assert len(quoted) == 5


def test_reranker_reads_more_candidates_and_determines_the_rank(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, ann: Principal
) -> None:
    chunks = document_with(base, *(f"text {n}" for n in range(28)), "best of all", "the best, best")
    fake_index.ranking = [chunk.id for chunk in chunks]
    ranking = replace(fake, reranker=FakeReranker("best"))
    hits = search("text", scope=scope_for(ann), engine=ranking, limit=3)
    assert [hit.chunk for hit in hits] == [chunks[29].id, chunks[28].id, chunks[0].id]
    assert [hit.score for hit in hits] == [2.0, 1.0, 0.0] == [hit.scores.rerank for hit in hits]
    assert hits[0].scores.fused < hits[2].scores.fused


@pytest.mark.parametrize(("limit", "choice"), [(1, 30), (10, 40), (30, 100), (100, 100)])
def test_number_of_reranked_passages_depends_on_the_limit(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, ann: Principal, limit: int, choice: int
) -> None:
    fake_index.ranking = [chunk.id for chunk in document_with(base, *(f"text {n}" for n in range(120)))]
    reranker = FakeReranker()
    search("text", scope=scope_for(ann), engine=replace(fake, reranker=reranker), limit=limit)
    assert len(reranker.texts) == choice
    assert reranker.texts[0] == "Leave > Types of leave\ntext 0"


def test_reranker_reads_at_most_its_limit(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, ann: Principal
) -> None:
    """Passages that it didn't read follow in their original order, whatever their score would be."""
    chunks = document_with(base, *(f"text {n}" for n in range(3)), "best", "best of all", "the best")
    fake_index.ranking = [chunk.id for chunk in chunks]
    reranker = FakeReranker("best", max_texts=4)
    hits = search("text", scope=scope_for(ann), engine=replace(fake, reranker=reranker), limit=6)
    assert [hit.chunk for hit in hits] == [chunks[n].id for n in (3, 0, 1, 2, 4, 5)]
    assert [hit.scores.rerank for hit in hits] == [1.0, 0.0, 0.0, 0.0, None, None]
    assert len(reranker.texts) == 4


def test_limited_reranker_does_not_deepen_the_search(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, ann: Principal
) -> None:
    fake_index.ranking = [chunk.id for chunk in document_with(base, *(f"text {n}" for n in range(120)))]
    reranker = FakeReranker(max_texts=16)
    search("text", scope=scope_for(ann), engine=replace(fake, reranker=reranker), limit=10)
    assert (len(reranker.texts), fake_index.asked[-1][2]) == (16, 64)


ENGLISH, GERMAN = "What is the best text?", "Was ist der beste Text für mich?"


@pytest.mark.parametrize(
    ("query", "text", "reranked"),
    [
        (ENGLISH, "this is the best text of all", True),
        (GERMAN, "this is the best text of all", False),
        ("Quel est le meilleur texte ?", "this is the best text of all", False),
        ("best text", "this is the best text of all", True),
        ("best text of all boxes", "this is the best text of all", True),
        ("best text of all the boxes", "best ist der beste Text, den wir für Sie haben", False),
        ("best text", "best ist der beste Text, den wir für Sie haben", False),
        ("Wo ist best?", "this is the best text of all", False),
        (ENGLISH, "best ist der beste Text, den wir für Sie haben", False),
    ],
)
def test_reranker_is_used_only_in_its_languages(
    fake: Engine,
    fake_index: FakeIndex,
    base: KnowledgeBase,
    ann: Principal,
    query: str,
    text: str,
    reranked: bool,
) -> None:
    other = text.replace("best", "worst", 1)
    chunks = document_with(base, other, text, title=text)
    fake_index.ranking = [chunk.id for chunk in chunks]
    for languages, ranks in ((frozenset({"en"}), reranked), (None, True)):
        reranker = FakeReranker("best", languages=languages)
        hits = search(query, scope=scope_for(ann), engine=replace(fake, reranker=reranker), limit=2)
        assert bool(reranker.texts) is ranks
        assert [hit.chunk for hit in hits] == [chunk.id for chunk in (reversed(chunks) if ranks else chunks)]


@pytest.mark.parametrize("query", [ENGLISH, "best text"])
def test_unloadable_reranker_does_not_fail_the_search(
    fake: Engine,
    fake_index: FakeIndex,
    base: KnowledgeBase,
    ann: Principal,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
) -> None:
    monkeypatch.setattr(packaged_models, "_folders", lambda package: [])
    monkeypatch.setattr(registry, "environment", lambda: Environment(reranker_model=None))
    chunks = document_with(base, "a text", "the best text")
    fake_index.ranking = [chunk.id for chunk in chunks]
    with registry.use():
        engine = replace(fake, reranker=lazy(registry.reranker))
        hits = search(query, scope=scope_for(ann), engine=engine)
    assert [hit.chunk for hit in hits] == [chunk.id for chunk in chunks]


@pytest.mark.models
def test_packaged_reranker_puts_the_answer_first(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Environment(reranker_model=None, reranker_timeout_seconds=60)
    monkeypatch.setattr(registry, "environment", lambda: given)
    words = [f"The {thing} of the employees is in the basement." for thing in ("canteen", "garage", "gym")]
    chunks = document_with(base, *words, "Each of the employees gets 25 days of leave.")
    fake_index.ranking = [chunk.id for chunk in chunks]
    with registry.use():
        engine = replace(fake, reranker=lazy(registry.reranker))
        hits = search("How much leave do employees get?", scope=scope_for(ann), engine=engine)
        registry.close()
    assert hits[0].chunk == chunks[-1].id
    assert all(0 <= hit.score <= 1 for hit in hits)


def test_unreadable_passages_are_not_sent_to_the_reranker(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, admin: Principal, ann: Principal
) -> None:
    """The index here finds everything for everyone, as one that is behind might."""
    narrowed, deleted, left = (document_with(base, f"text {name}")[0] for name in ("secret", "gone", "open"))
    readers_replace(document=narrowed.version.document, readers=[], actor=None)
    Document.objects.filter(pk=deleted.version.document_id).update(deleted_at=timezone.now())
    fake_index.ranking = [narrowed.id, deleted.id, left.id]
    reranker = FakeReranker()
    search("text", scope=scope_for(ann), engine=replace(fake, reranker=reranker))
    assert [text.rpartition("\n")[2] for text in reranker.texts] == ["text open"]


@pytest.mark.parametrize("failure", [Unavailable("away"), ConfigurationError("not there")])
def test_failed_reranker_preserves_the_fused_order(
    fake: Engine,
    fake_index: FakeIndex,
    base: KnowledgeBase,
    ann: Principal,
    failure: Exception,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        reranking, "_trouble", ThrottledLogger(logging.getLogger("retrieval.search.reranking"))
    )
    chunks = document_with(base, "text", "the best text", "another")
    fake_index.ranking = [chunk.id for chunk in chunks]
    broken = replace(fake, reranker=FakeReranker(failure=failure))
    for _ in range(3):
        hits = search("text of the asker", scope=scope_for(ann), engine=broken, limit=2)
        assert [(hit.chunk, hit.scores.rerank) for hit in hits] == [
            (chunks[0].id, None),
            (chunks[1].id, None),
        ]
    (told,) = caplog.messages
    assert str(failure) in told
    assert "asker" not in told


def test_empty_scope_finds_nothing(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, ann: Principal
) -> None:
    nothing = replace(scope_for(ann), readable=frozenset())
    broken = FakeEmbedder()
    broken.broken = True
    assert search("text", scope=nothing, engine=replace(fake, embedder=broken)) == []
    assert fake_index.asked == []


@pytest.mark.parametrize("query", ["", "  \n", "\0", "\ud800"])
def test_blank_query_is_rejected(fake: Engine, base: KnowledgeBase, ann: Principal, query: str) -> None:
    with pytest.raises(InvalidInput):
        search(query, scope=scope_for(ann), engine=fake)


@pytest.mark.parametrize(
    "query",
    ["a\0b leave", "\ud800 leave \udfff", "leave " * 100_000, "\u202e \U0001f469\u200d\U0001f680 \ufdfd"],
)
def test_strange_queries(real: Engine, base: KnowledgeBase, ann: Principal, query: str) -> None:
    put_into(real, document_with(base, "Annual leave", "Parking"))
    assert len(search(query, scope=scope_for(ann), engine=real)) == 2


def test_scope_filters_and_depth_reach_the_index(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, ann: Principal
) -> None:
    scope, filters = scope_for(ann), Filters(tags=("hr",))
    search("text", scope=scope, filters=filters, limit=100, engine=fake)
    assert fake_index.asked == [(scope, filters, 400)]


def test_broken_embedder_is_reported(fake: Engine, base: KnowledgeBase, ann: Principal) -> None:
    assert isinstance(fake.embedder, FakeEmbedder)
    fake.embedder.broken = True
    with pytest.raises(Unavailable):
        search("text", scope=scope_for(ann), engine=fake)


def test_search_uses_the_configured_engine_by_default(
    fake: Engine, fake_index: FakeIndex, base: KnowledgeBase, ann: Principal
) -> None:
    with use(fake):
        search("text", scope=scope_for(ann))
    assert len(fake_index.asked) == 1


def test_llama_index_retriever_returns_search_hits_as_nodes(
    real: Engine, base: KnowledgeBase, ann: Principal
) -> None:
    put_into(real, document_with(base, "Parking is free.", "Annual leave can be donated to a colleague."))
    scope = scope_for(ann)
    hits = search("donate annual leave", scope=scope, engine=real)
    nodes = CairnRetriever(scope, engine=real).retrieve("donate annual leave")
    assert [(node.node_id, node.score, node.text) for node in nodes] == [
        (str(hit.chunk), hit.score, hit.text) for hit in hits
    ]
    best, hit = nodes[0].node, hits[0]
    assert best.ref_doc_id == best.metadata["document"] == str(hit.document)
    assert best.metadata["knowledge_base"] == str(base.id)
    assert (best.metadata["title"], best.metadata["page"]) == ("Leave", 2)
    assert str(base.id) not in best.get_content(MetadataMode.LLM)
    (only,) = async_to_sync(CairnRetriever(scope, engine=real, limit=1).aretrieve)("donate annual leave")
    assert only.node_id == nodes[0].node_id


def test_llama_index_retriever_respects_scope_and_filters(
    real: Engine,
    base: KnowledgeBase,
    make_knowledge_base: Callable[..., KnowledgeBase],
    admin: Principal,
    ann: Principal,
) -> None:
    put_into(real, document_with(make_knowledge_base("Board", admin), "The merger is in May."))
    assert CairnRetriever(scope_for(ann), engine=real).retrieve("merger") == []
    found = CairnRetriever(scope_for(admin), engine=real).retrieve("merger")
    assert [node.text for node in found] == ["The merger is in May."]
    nowhere = Filters(document_ids=(uuid4(),))
    assert CairnRetriever(scope_for(admin), engine=real, filters=nowhere).retrieve("merger") == []


def test_search_requires_a_scope() -> None:
    with pytest.raises(TypeError):
        searching.search("text")  # type: ignore[call-arg] # the point of the test


@pytest.mark.parametrize(
    ("query", "reads", "order"),
    [
        (ENGLISH, "en", (3, 1, 0, 2, 4)),
        ("best text of all", "en", (3, 1, 0, 2, 4)),
        (GERMAN, "en", (0, 1, 2, 3, 4)),
        ("best Text haben", "en", (0, 1, 2, 3, 4)),
        (GERMAN, "de", (0, 4, 2, 3, 1)),
        (ENGLISH, "de", (0, 1, 2, 3, 4)),
        ("Quel est le meilleur texte ?", "en", (0, 1, 2, 3, 4)),
    ],
)
def test_only_passages_in_a_language_of_the_reranker_are_reranked(
    fake: Engine,
    fake_index: FakeIndex,
    base: KnowledgeBase,
    ann: Principal,
    query: str,
    reads: str,
    order: tuple[int, ...],
) -> None:
    """The others keep their places, as do all if the question is in another language or may be in one."""
    texts = (
        "this is the worst text of all",
        "das ist der Text, den wir haben",
        "this is some text of all that is here",
        "this is the best text of all",
        "das ist der best Text, den wir haben",
    )
    chunks = [document_with(base, text, title=text)[0] for text in texts]
    fake_index.ranking = [chunk.id for chunk in chunks]
    reranker = FakeReranker("best", languages=frozenset({reads}))
    hits = search(query, scope=scope_for(ann), engine=replace(fake, reranker=reranker), limit=5)
    assert [hit.chunk for hit in hits] == [chunks[at].id for at in order]
    is_german = [hit.text.startswith("das") for hit in hits]
    if reranker.texts:
        assert [hit.scores.rerank is not None for hit in hits] == [
            each is (reads == "de") for each in is_german
        ]
