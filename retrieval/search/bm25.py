"""Sparse vectors for the keyword half. They are made here for both stores, so that they are the same."""

from qdrant_edge import Bm25, Bm25Config, Language, SparseVector, StopwordsSet

from retrieval.index.protocol import Sparse
from retrieval.search.query_expansion import other_spellings

# Terms of a chunk of 150 words once the stop words are gone.
AVERAGE_TERMS = 80
# English stems do German no harm, as question and document are cut alike. Its stop words matter more:
# whole questions are asked, and in a small collection rarity alone does not silence "welche" and "wird".
_STOPWORDS = StopwordsSet(languages={Language.English, Language.German})
_MODEL = Bm25(Bm25Config(avg_len=AVERAGE_TERMS, language="english", stopwords=_STOPWORDS, ascii_folding=True))

OTHER_SPELLING = 0.5  # weight of a term that the asker did not write so


def document_sparse(text: str) -> Sparse:
    """Term frequencies, saturated and corrected for length. Rarity is the index's part."""
    return _sparse(_MODEL.embed_document(_encodable(text)))


def query_sparse(text: str) -> Sparse:
    """Each term once, codes also in their other spellings. Empty for a query like "who is it?"."""
    written = _sparse(_MODEL.embed_query(_encodable(text)))
    other = _sparse(_MODEL.embed_query(" ".join(other_spellings(_encodable(text)))))
    added = tuple(term for term in other.indices if term not in written.indices)
    return Sparse(written.indices + added, written.values + (OTHER_SPELLING,) * len(added))


def _sparse(vector: SparseVector) -> Sparse:
    return Sparse(tuple(vector.indices), tuple(vector.values))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "ignore").decode()
