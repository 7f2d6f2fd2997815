from retrieval.answering.text.blocks import Shape, sentences_in, split_blocks

TEXT = (
    "A first paragraph. With two sentences.\n\n"
    "You must:\n1. Fill in the form.\n2. Send it.\n\n"
    "Grade | Days\nJunior | 20\nSenior | 25\n\n"
    "A wrapped\nparagraph."
)


def test_finds_paragraphs_lists_with_their_lead_in_and_tables() -> None:
    found = [(block.shape, TEXT[block.start : block.end]) for block in split_blocks(TEXT)]
    assert found == [
        (Shape.PARAGRAPH, "A first paragraph. With two sentences."),
        (Shape.LIST, "You must:\n1. Fill in the form.\n2. Send it."),
        (Shape.TABLE, "Grade | Days\nJunior | 20\nSenior | 25"),
        (Shape.PARAGRAPH, "A wrapped\nparagraph."),
    ]


def test_a_lead_in_keeps_its_items_when_their_bullets_are_gone() -> None:
    text = "You need all of these:\n\nA badge\n\nA form\n\n" + "Something else entirely. " * 20
    first = split_blocks(text)[0]
    assert text[first.start : first.end] == "You need all of these:\n\nA badge\n\nA form"


def test_a_paragraph_after_a_list_is_no_item_of_it() -> None:
    text = "Two things are allowed in the elevator:\nbicycles\nstrollers\n\nSmoking there is forbidden."
    assert [text[block.start : block.end] for block in split_blocks(text)] == [
        "Two things are allowed in the elevator:\nbicycles\nstrollers",
        "Smoking there is forbidden.",
    ]


def test_sentences_are_quotable_as_they_stand() -> None:
    pieces = [TEXT[s.start : s.end] for block in split_blocks(TEXT) for s in sentences_in(TEXT, block)]
    assert "With two sentences." in pieces
    assert "Senior | 25" in pieces
    assert "Send it." in pieces


def test_empty_text_has_no_blocks() -> None:
    assert split_blocks("\n \n") == []
