import pytest

from retrieval.answering.text.blocks import Shape, sentences_in, split_blocks

TEXT = (
    "A first paragraph. With two sentences.\n\n"
    "You must:\n1. Fill in the form.\n2. Send it.\n\n"
    "Grade | Days\nJunior | 20\nSenior | 25\n\n"
    "A wrapped\nparagraph."
)


def test_blocks_are_paragraphs_tables_and_lists_with_their_lead_in() -> None:
    found = [(block.shape, TEXT[block.start : block.end]) for block in split_blocks(TEXT)]
    assert found == [
        (Shape.PARAGRAPH, "A first paragraph. With two sentences."),
        (Shape.LIST, "You must:\n1. Fill in the form.\n2. Send it."),
        (Shape.TABLE, "Grade | Days\nJunior | 20\nSenior | 25"),
        (Shape.PARAGRAPH, "A wrapped\nparagraph."),
    ]


def test_lead_in_includes_items_without_bullets() -> None:
    text = "You need all of these:\n\nA badge\n\nA form\n\n" + "Something else entirely. " * 20
    first = split_blocks(text)[0]
    assert text[first.start : first.end] == "You need all of these:\n\nA badge\n\nA form"


def test_paragraph_after_a_list_is_not_a_list_item() -> None:
    text = "Two things are allowed in the elevator:\nbicycles\nstrollers\n\nSmoking there is forbidden."
    assert [text[block.start : block.end] for block in split_blocks(text)] == [
        "Two things are allowed in the elevator:\nbicycles\nstrollers",
        "Smoking there is forbidden.",
    ]


def test_sentences_of_blocks_are_exact_quotes() -> None:
    pieces = [TEXT[s.start : s.end] for block in split_blocks(TEXT) for s in sentences_in(TEXT, block)]
    assert "With two sentences." in pieces
    assert "Senior | 25" in pieces
    assert "Send it." in pieces


def test_empty_text_has_no_blocks() -> None:
    assert split_blocks("\n \n") == []


@pytest.mark.parametrize(
    "line",
    [
        "$ make test", "sudo reboot", "git push --force origin", "ssh-keygen -t ed25519 -f ~/.ssh/id",
        "docker run \\\n  image", "C:\\> ipconfig", "cd /srv\ngit pull --rebase\nls",
    ],
)  # fmt: skip
def test_unmarked_command_is_recognised_as_code(line: str) -> None:
    text = f"Run this first:\n\n{line}\n\nThen sign out and in again."
    first, second = split_blocks(text)
    assert (first.shape, [text[each.start : each.end] for each in first.code]) == (Shape.CODE, [line])
    assert second.shape is Shape.PARAGRAPH


@pytest.mark.parametrize(
    "text",
    [
        "It costs:\n$ 40 a day\n$ 200 a week",
        "use the --force option if needed",
        "option | meaning\n--all | show all\nlist --long | show more",
        "3. Stamp it, so that it is in status SUBMIT.\\\n4. Wait for the approval.",
        "Vor- und Nachteile",
        "sudo is a program.",
        "bring a badge - and a form",
    ],
)
def test_prose_is_not_recognised_as_code(text: str) -> None:
    assert not any(block.code for block in split_blocks(text))


def test_code_belongs_to_the_preceding_item_and_ends_other_blocks() -> None:
    text = "1. Install:\n\nget it\n2. Start:\n\nrun | it\n\nA paragraph.\n\n  more()"
    code = [(text.index(each), text.index(each) + len(each)) for each in ("get it", "run | it", "  more()")]
    found = split_blocks(text, code)
    assert [(block.shape, len(block.lines), len(block.code)) for block in found] == [
        (Shape.LIST, 4, 2),
        (Shape.CODE, 2, 1),
    ]
    assert text[found[1].code[0].start : found[1].end] == "  more()"


def test_offsets_beyond_the_text_are_ignored() -> None:
    [block] = split_blocks("A text.", [(3, 90), (-4, 2), (5, 5)])
    assert (block.shape, block.code) == (Shape.PARAGRAPH, ())
