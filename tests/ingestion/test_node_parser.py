"""The chunker as a LlamaIndex node parser."""

from typing import Any

from llama_index.core import Document
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import MetadataMode, NodeRelationship, TextNode

from cairn.library.rendition import Element, Rendition
from ingestion.chunking.chunker import chunk
from ingestion.chunking.llama_index import CairnNodeParser, RenditionDocument
from tests.fakes import FakeEmbedder

BOX = (0.1, 0.2, 0.9, 0.3)
HANDBOOK = Rendition(
    (
        Element(0, "Title", "Leave", page=3),
        Element(1, "NarrativeText", "Employees get 25 days a year.", ("Leave",), 3, (BOX,)),
        Element(2, "Title", "Parental leave", ("Leave",), page=4),
        Element(3, "NarrativeText", "It lasts a year.", ("Leave", "Parental leave"), 4, (BOX, BOX)),
    ),
    title="Handbook",
    pages=5,
)


def parsed(document: Document) -> list[TextNode]:
    nodes = CairnNodeParser(FakeEmbedder()).get_nodes_from_documents([document])
    assert all(isinstance(node, TextNode) for node in nodes)
    return [node for node in nodes if isinstance(node, TextNode)]


def test_node_parser_returns_the_chunks_with_their_locations() -> None:
    embedder = FakeEmbedder()
    drafts = chunk(
        HANDBOOK, title="Handbook", count_tokens=embedder.count_tokens, max_tokens=embedder.max_tokens
    )
    nodes = parsed(RenditionDocument(HANDBOOK, metadata={"source": "handbook.pdf"}))
    assert [node.text for node in nodes] == [draft.text for draft in drafts]
    assert [node.get_content(MetadataMode.EMBED) for node in nodes] == [
        draft.embedding_text for draft in drafts
    ]
    leave, parental = (node.metadata for node in nodes)
    assert leave == {
        "title": "Handbook",
        "source": "handbook.pdf",
        "context": "Handbook > Leave",
        "section": ["Leave"],
        "page": 3,
        "boxes": [{"page": 3, "box": list(BOX)}],
    }
    assert (parental["page"], len(parental["boxes"])) == (4, 2)
    assert parental["section"] == ["Leave", "Parental leave"]


def test_nodes_reference_their_document_and_neighbours() -> None:
    document = RenditionDocument(HANDBOOK)
    first, second = parsed(document)
    assert first.ref_doc_id == second.ref_doc_id == document.doc_id
    following: Any = first.relationships[NodeRelationship.NEXT]
    assert following.node_id == second.node_id
    assert document.text[second.start_char_idx : second.end_char_idx] == second.text


def test_cells_of_a_sheet_are_stored_per_line() -> None:
    table = Element(
        0, "Table", "Item | Price\nTent | 90", header_rows=1, sheet="Rent", cells=("A1:B1", "A2:B2")
    )
    (node,) = parsed(RenditionDocument(Rendition((table,))))
    assert node.metadata["cells"] == ["Rent!A1:B1", "Rent!A2:B2"]


def test_document_without_a_rendition_is_split_at_blank_lines() -> None:
    sentence = "Ferries leave at noon and come back at night. "
    document = Document(text=f"{sentence * 20}\n\n{sentence * 20}", metadata={"file_name": "ferries.txt"})
    nodes = parsed(document)
    assert len(nodes) > 1
    assert {node.metadata["context"] for node in nodes} == {"ferries.txt"}
    embedder = FakeEmbedder()
    sizes = embedder.count_tokens([node.get_content(MetadataMode.EMBED) for node in nodes])
    assert max(sizes) <= embedder.max_tokens
    assert parsed(Document(text=" \n\n ")) == []


def test_node_parser_works_in_an_ingestion_pipeline() -> None:
    pipeline = IngestionPipeline(transformations=[CairnNodeParser(FakeEmbedder())])
    assert len(pipeline.run(documents=[RenditionDocument(HANDBOOK)])) == 2
