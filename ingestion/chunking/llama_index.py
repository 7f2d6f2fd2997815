"""Cairn's chunker as a LlamaIndex node parser."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from llama_index.core.node_parser import NodeParser
from llama_index.core.schema import BaseNode, Document, MetadataMode, NodeRelationship, TextNode
from pydantic import PrivateAttr

from cairn.inference.protocols import Embedder
from cairn.library.rendition import Element, Rendition
from ingestion.chunking.chunker import ChunkDraft, chunk

_BLANK_LINES: Final = re.compile(r"\n\s*\n")
_TEXT: Final = "NarrativeText"
_CONTEXT: Final = "context"
_TITLES: Final = ("title", "file_name")


class RenditionDocument(Document):
    """A rendition as a LlamaIndex document, with the pages, boxes and cells of its elements."""

    _rendition: Rendition = PrivateAttr()

    def __init__(self, rendition: Rendition, **fields: Any) -> None:
        super().__init__(text="\n\n".join(element.text for element in rendition.elements), **fields)
        self._rendition = rendition
        self.metadata.setdefault("title", rendition.title or "")

    @property
    def rendition(self) -> Rendition:
        return self._rendition


class CairnNodeParser(NodeParser):
    """Splits documents into the chunks that Cairn would index, sized for the embedder.

    A node's metadata are `context` (title and headings in one line), `section`, `page`, `boxes` and `cells`.
    Only `context` is embedded with the text, as in Cairn. Documents without a rendition are split at blank
    lines.
    """

    _embedder: Embedder = PrivateAttr()

    def __init__(self, embedder: Embedder, **options: Any) -> None:
        super().__init__(**options)
        self._embedder = embedder

    @classmethod
    def class_name(cls) -> str:
        return "CairnNodeParser"

    def _parse_nodes(
        self,
        nodes: Sequence[BaseNode],
        show_progress: bool = False,  # noqa: ARG002 - LlamaIndex's signature
        **_options: Any,
    ) -> list[BaseNode]:
        return [node for document in nodes for node in self._split(document)]

    def _split(self, document: BaseNode) -> Iterator[TextNode]:
        rendition = _rendition_of(document)
        drafts = chunk(
            rendition,
            title=_title_of(document),
            count_tokens=self._embedder.count_tokens,
            max_tokens=self._embedder.max_tokens,
        )
        relationships: Any = {NodeRelationship.SOURCE: document.as_related_node_info()}
        for draft in drafts:
            node = _node(draft, rendition, document)
            node.id_ = self.id_func(draft.ordinal, document)
            node.relationships = dict(relationships)
            yield node


def _node(draft: ChunkDraft, rendition: Rendition, document: BaseNode) -> TextNode:
    metadata = _metadata(draft, [rendition.elements[index] for index in draft.elements])
    excluded = sorted({*document.metadata, *metadata} - {_CONTEXT})
    return TextNode(
        text=draft.text,
        metadata=metadata,
        excluded_embed_metadata_keys=excluded,
        excluded_llm_metadata_keys=excluded,
        metadata_template="{value}",
        text_template="{metadata_str}\n{content}",
    )


def _metadata(draft: ChunkDraft, elements: Sequence[Element]) -> dict[str, Any]:
    metadata = {
        _CONTEXT: draft.context,
        "section": list(draft.section),
        "page": draft.page,
        "boxes": [{"page": each.page, "box": list(box)} for each in elements for box in each.boxes],
        "cells": [line.cells for line in draft.cells],
    }
    return {name: value for name, value in metadata.items() if value}


def _rendition_of(document: BaseNode) -> Rendition:
    if isinstance(document, RenditionDocument):
        return document.rendition
    paragraphs = filter(str.strip, _BLANK_LINES.split(document.get_content(MetadataMode.NONE)))
    return Rendition(tuple(Element(index, _TEXT, text) for index, text in enumerate(paragraphs)))


def _title_of(document: BaseNode) -> str:
    return next((str(document.metadata[name]) for name in _TITLES if document.metadata.get(name)), "")
