import pytest

from cairn.errors import Unavailable
from retrieval.answering.generation.extractive import (
    Extract,
    arrange_for_reading,
    escape_markdown,
    extract_blocks,
)
from tests.fakes import FakeEmbedder, FakeReranker
from tests.retrieval.answering.builders import LEAVE, TRAVEL, make_hit
from web.presentation.markdown import render_markdown

TABLE = "Prices.\n\nCity | Rate\n" + "\n".join(f"Town{n} | ${100 + n}" for n in range(40))


def test_extractive_answer_quotes_whole_blocks_verbatim() -> None:
    found = extract_blocks("How do I donate leave to a colleague?", [make_hit(LEAVE)], FakeEmbedder(), "en")
    assert found[0].quote == LEAVE.split("\n\n")[1]
    assert found[0].quote in found[0].hit.text
    assert found[0].markdown == (
        "> To donate leave to a colleague:\n>\n"
        "> 1. Fill in Form 630.\n> 2. Send it to Dana Whitfield in Payroll."
    )


def test_short_text_is_quoted_if_it_is_the_only_one() -> None:
    (found,) = extract_blocks("What do otters hold?", [make_hit("Otters hold hands.")], FakeEmbedder(), "en")
    assert found.quote == "Otters hold hands."


def test_list_numbers_with_gaps_are_preserved() -> None:
    text = "12. The deposit is three months of rent.\n\n15. The deposit is returned.\n\n21. It earns nothing."
    (found,) = extract_blocks("What about the deposit?", [make_hit(text)], FakeEmbedder(), "en")
    page = str(render_markdown(found.markdown))
    assert "<ol" not in page
    assert [number for number in ("12.", "15.", "21.", "13.") if number in page] == ["12.", "15.", "21."]


def test_table_quote_has_its_header_and_relevant_rows() -> None:
    found = extract_blocks(
        "What is the rate in Town31?", [make_hit(TABLE, title="Rates")], FakeEmbedder(), "en"
    )
    assert "| City | Rate |\n> | --- | --- |" in found[0].markdown
    assert "| Town31 | $131 |" in found[0].markdown
    assert found[0].markdown.count("\n") < 12
    assert found[0].markdown.count("> | … |") == 2, "rows before and after these are left out"
    assert found[0].quote in TABLE


def test_table_quote_includes_the_row_of_units() -> None:
    rows = "\n".join(f"Widget{n} | {n}0 | {n}1" for n in range(1, 40))
    table = f"Net sales | Americas | Europe\n | in thousands | in thousands\n{rows}"
    found = extract_blocks("What are the net sales of Widget31?", [make_hit(table)], FakeEmbedder(), "en")
    lines = found[0].markdown.split("\n")
    assert lines[0] == "> | Net sales | Americas | Europe |"
    assert lines[2] == "> |  | in thousands | in thousands |"
    assert "| Widget31 | 310 | 311 |" in found[0].markdown
    assert found[0].quote in table


def test_table_of_words_has_one_header_row() -> None:
    rows = "\n".join(f"{name} | {name} street" for name in ("Oak", "Elm", "Ash", "Fir", "Yew", "Box", "Bay"))
    table = f"Office | Place\n{rows}"
    found = extract_blocks("What is the place of the office Bay?", [make_hit(table)], FakeEmbedder(), "en")
    assert "| Bay | Bay street |" in found[0].markdown
    assert found[0].markdown.count("\n") <= 9


def test_header_row_is_quoted_with_its_rows() -> None:
    table = "Place | 5 Elm Street\nDoor code | 4711\nDesk | second floor"
    found = extract_blocks("What is the door code of the place?", [make_hit(table)], FakeEmbedder(), "en")
    assert found[0].quote == table


def test_reranker_selects_among_the_nearest_blocks() -> None:
    question = "How many days of annual leave do employees earn?"
    near, far = (make_hit(text, title=title) for text, title in ((LEAVE, "Annual leave"), (TRAVEL, "Travel")))

    def quote(reranker: FakeReranker | None) -> list[str]:
        found = extract_blocks(question, [near, far], FakeEmbedder(), "en", reranker)
        return [extract.quote for extract in found]

    assert quote(None)[0] == LEAVE.split("\n\n")[0]
    assert quote(FakeReranker("voucher")) == [TRAVEL]
    assert quote(FakeReranker(failure=Unavailable("away"))) == quote(None)


@pytest.mark.parametrize(("word", "first"), [("voucher", "Submit the voucher"), ("nowhere", "Der Urlaub")])
def test_blocks_that_the_reranker_does_not_read_are_not_rated(word: str, first: str) -> None:
    """If one is the best and no other is likely to answer, none is."""
    german = "Der Urlaub von 25 Tagen ist für alle, die hier angestellt sind und nicht nur für einige."
    reranker = FakeReranker(word, languages=frozenset({"en"}))
    hits = [
        make_hit(german, title="Urlaub"),
        make_hit("Submit the voucher to the travel office after the trip.", title="Trip"),
    ]
    found = extract_blocks("Urlaub von 25 Tagen", hits, FakeEmbedder(), "en", reranker)
    assert found[0].quote.startswith(first)
    assert [text for text in reranker.texts if "Urlaub" in text] == []


def test_extractive_answer_has_no_repetitions() -> None:
    hits = [make_hit(TRAVEL, title="Travel"), make_hit(f"{TRAVEL} Really.", title="Travel FAQ")]
    assert len(extract_blocks("What hotel costs are reimbursed?", hits, FakeEmbedder(), "en")) == 1


def test_quotes_of_a_section_are_in_the_documents_order() -> None:
    steps = make_hit("Ask your manager first.\n\nThen fill in the form.", title="Leave")
    other = make_hit("Payroll files the form.", title="Payroll")
    best_first = [
        Extract(hit, quote, f"> {quote}")
        for hit, quote in (
            (steps, "Then fill in the form."),
            (other, "Payroll files the form."),
            (steps, "Ask your manager first."),
        )
    ]
    assert [extract.quote for extract in arrange_for_reading(best_first)] == [
        "Ask your manager first.",
        "Then fill in the form.",
        "Payroll files the form.",
    ]


def test_lead_in_without_its_list_is_not_quoted() -> None:
    hit = make_hit("The annual leave rules for staff are these:")
    assert extract_blocks("What are the annual leave rules?", [hit], FakeEmbedder(), "en") == []


def test_single_table_row_is_not_quoted() -> None:
    told = "Annual leave is told in the yearly report."
    hit = make_hit(f"Apple Inc. | Annual leave report | Form 10 | 15\n\n{told}")
    found = extract_blocks("What is in the annual leave report of Apple Inc.?", [hit], FakeEmbedder(), "en")
    assert [extract.quote for extract in found] == [told]


def test_document_text_is_escaped_in_markdown() -> None:
    assert escape_markdown("[1] *x* <b> ![i](u) `c` a|b snake_case") == (
        r"\[1\] \*x\* \<b> !\[i\](u) \`c\` a\|b snake_case"
    )


def test_multi_line_command_stays_one_block() -> None:
    command = "curl -s https://host/upload \\\n  -H 'Authorization: key' \\\n  -F file=@`name`"
    lead = "To upload a file, send it."
    hit = make_hit(f"{lead}\n\n{command}", title="Upload")
    [found] = extract_blocks("What is the curl command to upload a file?", [hit], FakeEmbedder(), "en")
    assert found.quote == f"{lead}\n\n{command}"
    assert found.markdown == f"> {lead}\n>\n> ```\n> " + command.replace("\n", "\n> ") + "\n> ```"


def test_code_cannot_close_its_fence_or_forge_a_citation() -> None:
    start = "upload yearly report \\\n"
    fenced, marked = (
        extract_blocks("upload the yearly report", [make_hit(start + rest)], FakeEmbedder(), "en")[0]
        for rest in ("```\nsecond line", "-x a[1] second line")
    )
    assert fenced.markdown.startswith("> ````\n")
    assert marked.markdown.endswith("> -x a[1] second line\n> ```")
    assert "<button" not in render_markdown(marked.markdown, {1: "Source 1"})
    assert "<button" in render_markdown(f"{marked.markdown}\n\n[1]", {1: "Source 1"})


def test_block_with_the_expected_answer_type_comes_first() -> None:
    text = "The price of a permit is known to drivers.\n\nThe price of a permit now stands at $40."
    found = extract_blocks(
        "What is the price of a permit?", [make_hit(text, title="Parking")], FakeEmbedder(), "en"
    )
    assert found[0].quote.endswith("$40.")


def test_block_with_the_counted_number_comes_first() -> None:
    text = "Rooms with seats came in 2019 here.\n\nRooms with 40 seats came much later here."
    found = extract_blocks(
        "How many seats do rooms have?", [make_hit(text, title="House")], FakeEmbedder(), "en"
    )
    assert "40 seats" in found[0].quote


def test_second_document_is_quoted_only_if_equally_relevant() -> None:
    best = "Annual leave of employees is 25 days a year for all."
    near = "Employees get days of annual leave a year by mail."
    question = "How many days of annual leave do employees get a year?"
    other = [make_hit(best), make_hit(near, title="Desk")]
    assert [extract.quote for extract in extract_blocks(question, other, FakeEmbedder(), "en")] == [best]
    same = [make_hit(f"{best}\n\n{near}")]
    assert [extract.quote for extract in extract_blocks(question, same, FakeEmbedder(), "en")] == [best, near]


def render_list(text: str) -> str:
    [found] = extract_blocks("How do I travel by train?", [make_hit(text)], FakeEmbedder(), "en")
    assert found.quote == text
    return found.markdown.replace("\n> ", "\n").removeprefix("> ")


def test_marks_of_footnotes_and_escapes_are_not_shown_but_stay_in_the_quote() -> None:
    text = (
        "Train tickets cost 80 euros[^2] \\[second class\\], or less [^3]. [^2]: Children travel free[^kids]."
    )
    [found] = extract_blocks("What do train tickets cost?", [make_hit(text)], FakeEmbedder(), "en")
    assert found.quote == text
    assert found.markdown == (
        r"> Train tickets cost 80 euros \[second class\], or less. Children travel free."
    )


def test_text_resembling_a_footnote_is_preserved() -> None:
    text = "A train number[^0-9]+ of [^abc] letters is refused in C:\\trains."
    [found] = extract_blocks("Which train number is refused?", [make_hit(text)], FakeEmbedder(), "en")
    assert found.markdown == f"> {escape_markdown(text)}"


def test_bullets_below_a_number_of_two_digits_are_nested() -> None:
    steps = "9. Ask to travel by train.\nin writing\n10. Book the train.\nsecond class\n11. Travel."
    assert render_list(steps) == (
        "9. Ask to travel by train.\n   - in writing\n10. Book the train.\n    - second class\n11. Travel."
    )


def test_numbers_below_numbers_are_nested() -> None:
    steps = "1. Book the train.\n1. Sign in.\n2. Choose a seat.\n2. Travel.\n1. Show it.\n3. Rest."
    assert render_list(steps) == (
        "1. Book the train.\n   1. Sign in.\n   2. Choose a seat.\n2. Travel.\n   1. Show it.\n3. Rest."
    )


def test_restarted_numbering_after_a_lead_in_is_a_separate_list() -> None:
    text = "Travel by train:\n1. Book.\n2. Pay.\nTravel by car:\n1. Hire.\n2. Fill up."
    assert render_list(text).replace("\n>\n", "\n\n") == (
        "Travel by train:\n\n1. Book.\n2. Pay.\n\nTravel by car:\n\n1. Hire.\n2. Fill up."
    )


def test_paragraph_between_steps_belongs_to_the_preceding_step() -> None:
    text = "1. Book the train.\n\nThe portal sells tickets.\n2. Travel by train."
    page = str(render_markdown(render_list(text).replace("\n>\n", "\n\n")))
    assert page.count("<ol") == 1
    assert page.index("tickets") < page.index("</li>")


def test_letters_of_items_stay() -> None:
    text = "To travel by train:\na) ask in writing\nb) book as in a)"
    assert "- a) ask in writing\n- b) book as in a)" in render_list(text)


def test_numbers_below_bullets_are_nested() -> None:
    text = "- Travel by train\n1. Book.\n2. Pay.\n- Travel by car\n1. Hire."
    assert render_list(text) == "- Travel by train\n  1. Book.\n  2. Pay.\n- Travel by car\n  1. Hire."
