import pytest

from retrieval.answering.grounding.edits import flips_polarity, overlap, substitutions
from retrieval.answering.text.markdown_filter import escape_brackets, format_code_block, sanitize_markdown
from retrieval.types import Answer
from tests.retrieval.answering.builders import Writer, answered, make_hit

LEVELS = (
    "Leave depends on the level of the employee:\n\nLevel | Days per year | Approved by\n"
    "Junior | 20 days | Ana Lopez\nSenior | 26 days | Piet Vries\nDirector | 30 days | Board"
)
SETUP = "Run these commands to set up the client:\n\npip install vpn-client\nvpn login --user"


def answer_with(text: str, passage: str = LEVELS, *, grounding: str = "strict") -> Answer:
    question = "What days does a level have?" if passage == LEVELS else "How do I set up the client?"
    return answered(
        question,
        [make_hit(passage, title="Leave by level; set up the client")],
        Writer(text),
        grounding=grounding,
    )


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a <b>b</b> c<br/>d", "a b cd"),
        ("<scr<b>ipt>x</scr</b>ipt>", "x"),
        ("[a](https://x.example/(1)) ![p](x) ![p][r] [a][b]", "a p p a"),
        ("<https://x.example> <a@b.example>", "https://x.example a@b.example"),
        ("<|im_start|>system </s> [INST] <<SYS>>", "system   "),
        ("a <!-- b --> c", "a  c"),
        ("`<b>` stays", "`<b>` stays"),
        ("a [?] b", "a  b"),
        ("3 < 5 and <your name>", "3 < 5 and <your name>"),
    ],
)
def test_markup_is_removed(text: str, left: str) -> None:
    assert sanitize_markdown(text) == left


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<your name>", r"\<your name>"),
        (r"\<b>", r"\<b>"),
        ("see [12345] and [^1]", r"see \[12345] and \[^1]"),
        ("a](b)", r"a]\(b)"),
        ("3 < 5", "3 < 5"),
    ],
)
def test_markup_like_text_is_escaped(text: str, shown: str) -> None:
    assert escape_brackets(text) == shown


def test_code_block_cannot_close_its_fence_or_contain_a_marker() -> None:
    assert format_code_block("a ``` b") == "````\na ``` b\n````"
    assert format_code_block("a[1]") == "> a\\[1\\]"


def test_code_is_shown_only_if_copied_from_a_passage() -> None:
    good = answer_with("```sh\npip install vpn-client\nvpn login --user\n```", SETUP)
    assert good.text.startswith("```\npip install vpn-client\nvpn login --user\n```")
    bad = answer_with("Run these commands to set up the client.\n```\nvpn login --user\nrm -rf /\n```", SETUP)
    assert "rm -rf" not in bad.text
    assert "vpn login user" not in answer_with("```\npip install vpn-client\nvpn login user\n```", SETUP).text
    assert "rm -rf" not in answer_with("```evil words\nvpn login --user\nrm -rf", SETUP).text


@pytest.mark.parametrize(
    ("sentence", "row"),
    [
        ("The junior level has 20 days.", "Junior | 20 days | Ana Lopez"),
        ("The senior level has 26 days per year, approved by Piet Vries.", "Senior | 26 days | Piet Vries"),
    ],
)
def test_sentence_from_a_table_row_is_checked_with_the_header_and_cites_the_row(
    sentence: str, row: str
) -> None:
    final = answer_with(sentence)
    assert final.verdict == "supported"
    assert final.citations[0].quote == row


@pytest.mark.parametrize(
    "sentence",
    [
        "The junior level has 26 days.",
        "The junior level has 26 days per year and the senior level has 20 days per year.",
        "The senior level has 26 hours per year.",
        "The junior level has 20 days per year, approved by Piet Vries.",
    ],
)
def test_rows_are_not_mixed(sentence: str) -> None:
    final = answer_with(sentence)
    assert final.mode != "generated"


def test_generated_table_rows_are_checked_individually() -> None:
    table = "| Level | Days per year |\n|---|---|\n| Junior | 20 days |\n| Senior | 30 days |\n"
    final = answer_with(table)
    assert "| Junior | 20 days |" in final.text
    assert "Senior" not in final.text
    assert final.verdict == "partial"
    flagged = answer_with(table, grounding="flag")
    assert "| Senior | 30 days [?] |" in flagged.text


def test_headings_and_lead_ins_are_not_accepted_as_claims() -> None:
    text = "# Levels and days\n\nEmployees get 99 days:\n\nThe junior level has 20 days."
    final = answer_with(text)
    assert final.text.startswith("# Levels and days")
    assert "99" not in final.text


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("Send it to Alex in Payroll.", "Send it to Dana in Payroll."),
        ("Ratings of 2:1 are usual here.", "Ratings of 1:1 are usual here."),
        ("It takes half-day meetings.", "It takes half-hour meetings."),
        ("Start on 07/2013 with it.", "Start on 07/2012 with it."),
    ],
)
def test_near_copy_with_a_substituted_word_is_detected(claim: str, quote: str) -> None:
    assert overlap(claim, quote) > 0.5
    assert substitutions(claim, quote, "en", frozenset())


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("Employees must submit the form.", "Employees may submit the form."),
        ("Submit it after the trip ends.", "Submit it before the trip ends."),
        ("It costs less than 5 dollars here.", "It costs more than 5 dollars here."),
        ("This is a clearance level.", "This is not a clearance level."),
        ("We ask who is and who is.", "We ask who is and who is not."),
    ],
)
def test_near_copy_with_reversed_meaning_is_detected(claim: str, quote: str) -> None:
    assert flips_polarity(claim, quote)


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("You earn 25 days each year.", "Employees earn 25 days a year."),
        ("Send it to Dana in Payroll.", "Send it to Dana in Payroll."),
        ("The canteen is open.", "Leave must be approved by the manager."),
    ],
)
def test_copies_and_different_sentences_are_accepted(claim: str, quote: str) -> None:
    assert not substitutions(claim, quote, "en", frozenset())
    assert not flips_polarity(claim, quote)
