"""Hybrid search: dense and keyword queries, fusion and reranking."""
