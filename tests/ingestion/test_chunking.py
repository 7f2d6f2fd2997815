import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.library.rendition import Element, Rendition
from ingestion.chunking.chunker import ChunkDraft, chunk
from ingestion.chunking.sentences import sentences

WORD = re.compile(r"\w+|[^\w\s]")


def count(texts: Sequence[str]) -> list[int]:
    return [len(WORD.findall(text)) for text in texts]


def rendition(*parts: tuple[str, str] | tuple[str, str, tuple[str, ...]] | Element) -> Rendition:
    elements = [
        part if isinstance(part, Element) else Element(0, part[0], part[1], part[2] if len(part) > 2 else ())
        for part in parts
    ]
    numbered = [
        Element(index, one.category, one.text, one.section, one.page, one.boxes, one.header_rows)
        for index, one in enumerate(elements)
    ]
    return Rendition(tuple(numbered))


def chunks(
    *parts: tuple[str, str] | tuple[str, str, tuple[str, ...]] | Element, most: int = 60
) -> list[ChunkDraft]:
    return chunk(rendition(*parts), title="Leave", count_tokens=count, max_tokens=most)


def sentence(number: int) -> str:
    return f"Sentence number {number} says something of its own."


def test_small_paragraphs_of_a_section_share_a_chunk() -> None:
    (found,) = chunks(("NarrativeText", "One."), ("NarrativeText", "Two."), ("NarrativeText", "Three."))
    assert found.text == "One.\n\nTwo.\n\nThree."
    assert found.elements == (0, 1, 2)
    assert found.ordinal == 0


def test_no_chunk_crosses_a_section() -> None:
    found = chunks(
        ("NarrativeText", "Before."),
        ("Title", "Sick"),
        ("NarrativeText", "Ill.", ("Sick",)),
        ("Title", "Annual"),
        ("NarrativeText", "Away.", ("Annual",)),
    )
    assert [(draft.text, draft.section) for draft in found] == [
        ("Before.", ()),
        ("Ill.", ("Sick",)),
        ("Away.", ("Annual",)),
    ]


def test_sections_with_equal_names_stay_separate() -> None:
    found = chunks(
        ("Title", "Costs"),
        ("NarrativeText", "In May.", ("Costs",)),
        ("Title", "Costs"),
        ("NarrativeText", "In June.", ("Costs",)),
    )
    assert [draft.text for draft in found] == ["In May.", "In June."]


def test_context_line_names_title_and_section_once() -> None:
    found = chunks(
        ("Title", "Leave"),
        ("Title", "Sick", ("Leave",)),
        ("NarrativeText", "Ill.", ("Leave", "Sick")),
    )
    assert [(draft.context, draft.embedding_text) for draft in found] == [
        ("Leave > Sick", "Leave > Sick\nIll.")
    ]


def test_heading_without_text_is_searchable() -> None:
    found = chunks(("Title", "Offices"), ("Title", "Contact us"), ("NarrativeText", "Call.", ("Contact us",)))
    assert [draft.text for draft in found] == ["Offices", "Call."]


def test_long_context_leaves_space_for_the_text() -> None:
    path = tuple(f"A heading of many words, number {number}, that goes on and on" for number in range(9))
    (found,) = chunks(("NarrativeText", "Short text.", path))
    assert found.text == "Short text."
    assert found.context.startswith("Leave > ")
    assert count([found.context])[0] <= 20


def test_long_paragraph_is_split_after_sentences_into_similar_parts() -> None:
    found = chunks(("NarrativeText", " ".join(map(sentence, range(20)))))
    assert " ".join(draft.text for draft in found) == " ".join(map(sentence, range(20)))
    assert all(draft.text.endswith(".") for draft in found)
    sizes = [draft.tokens for draft in found]
    assert max(sizes) - min(sizes) <= 15


def test_endless_word_is_cut_without_loss() -> None:
    found = chunks(("NarrativeText", "a" * 10_000))
    assert "".join(draft.text for draft in found) == "a" * 10_000
    assert max(len(draft.text) for draft in found) <= 600


def test_list_stays_with_its_lead_in() -> None:
    (before, found) = chunks(
        ("NarrativeText", " ".join(map(sentence, range(6)))),
        ("NarrativeText", "You need:"),
        ("ListItem", "a form"),
        ("ListItem", "a signature"),
    )
    assert before.elements == (0,)
    assert found.text == "You need:\na form\na signature"


def test_long_list_repeats_its_lead_in() -> None:
    found = chunks(("NarrativeText", "You need:"), *(("ListItem", sentence(number)) for number in range(20)))
    assert len(found) > 2
    assert all(draft.text.startswith("You need:\nSentence") for draft in found)
    assert [index for draft in found for index in draft.elements[1:]] == list(range(1, 21))


def test_last_sentence_of_a_long_paragraph_leads_a_list() -> None:
    found = chunks(
        ("NarrativeText", " ".join(map(sentence, range(5))) + " You need:"),
        *(("ListItem", sentence(number)) for number in range(9)),
    )
    assert not found[0].text.endswith("You need:")
    assert all(draft.text.startswith("You need:\nSentence") for draft in found[1:])


def test_short_table_is_one_chunk() -> None:
    table = Element(0, "Table", "City | Rate\nBonn | 28\nKiel | 30", header_rows=1)
    assert [draft.text for draft in chunks(table)] == [table.text]


def test_long_table_repeats_its_header() -> None:
    rows = [f"City{number} | {number}" for number in range(40)]
    table = Element(0, "Table", "\n".join(["City | Rate", *rows]), header_rows=1)
    found = chunks(table)
    assert len(found) > 2
    assert all(draft.text.startswith("City | Rate\nCity") for draft in found)
    assert [row for draft in found for row in draft.text.split("\n")[1:]] == rows


def test_chunk_page_comes_from_the_first_element() -> None:
    found = chunks(Element(0, "NarrativeText", "One.", page=3), Element(0, "NarrativeText", "Two.", page=4))
    assert [draft.page for draft in found] == [3]


def test_chunks_fit_even_if_token_counts_are_not_additive() -> None:
    def uneven(texts: Sequence[str]) -> list[int]:
        return [len(WORD.findall(text)) + text.count("\n") * 9 for text in texts]

    parts = [("NarrativeText", sentence(number)) for number in range(30)]
    found = chunk(rendition(*parts), title="Leave", count_tokens=uneven, max_tokens=60)
    assert max(draft.tokens for draft in found) <= 60
    assert [index for draft in found for index in draft.elements] == list(range(30))


def test_empty_rendition_has_no_chunks() -> None:
    assert chunks() == []


element_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=400)


@given(
    st.lists(
        st.tuples(st.sampled_from(["NarrativeText", "ListItem", "Table", "Title"]), element_texts),
        max_size=12,
    )
)
def test_every_word_is_in_a_chunk_that_fits(parts: list[tuple[str, str]]) -> None:
    source = rendition(*(part for part in parts if part[1].strip()))
    found = chunk(source, title="Leave", count_tokens=count, max_tokens=60)
    together = "".join(draft.text for draft in found)
    assert [draft.ordinal for draft in found] == list(range(len(found)))
    assert all(draft.tokens <= 60 for draft in found)
    for element in source.elements:
        if element.category != "Title":
            assert set("".join(element.text.split())) <= set(together)
    assert found == chunk(source, title="Leave", count_tokens=count, max_tokens=60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Ask Dr. Smith, e.g. today. He knows.", ["Ask Dr. Smith, e.g. today.", "He knows."]),
        ("J. Doe pays 3.50 in the U.S. Army store.", ["J. Doe pays 3.50 in the U.S. Army store."]),
        ('He said "Go." Then he went.', ['He said "Go."', "Then he went."]),
        ("See www.example.org for more. ok", ["See www.example.org for more. ok"]),
        ("一句话。另一句。", ["一句话。", "另一句。"]),
        ("a line\n\nanother line", ["a line", "another line"]),
        ("  ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text)] == expected


@pytest.mark.parametrize("marks", ["!", "!)", '..."', "。", "\n"])
def test_endless_punctuation_is_split_quickly(marks: str) -> None:
    text = marks * 500_000 + "a"  # hours, were each looked at again from every place before it
    assert [end for _, end in sentences(text)][-1:] == [len(text)]


def test_split_code_is_marked_and_preserves_indentation() -> None:
    code = "\n".join(["def walk():", *(f"    step({number})" for number in range(30))])
    found = chunks(("NarrativeText", "Take a walk."), ("CodeSnippet", code), ("NarrativeText", "Rest."))
    pieces = [draft.text[start:end] for draft in found for start, end in draft.code]
    assert len(pieces) > 1
    assert "\n".join(pieces) == code
    assert found[0].text.startswith("Take a walk.")
    assert found[-1].text.endswith("Rest.")
