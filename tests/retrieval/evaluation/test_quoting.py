import pytest

from retrieval.evaluation.quote_match import any_overlaps

GOLD = "You can request **up to 240 hours** of [advanced sick leave](https://example.org/a_b)."


@pytest.mark.parametrize(
    ("quote", "overlaps"),
    [
        ("You can request up to 240 hours of advanced sick leave.", True),
        ("you  can\nrequest up to\u00a0240 hours of advanced", True),
        ("| Up to 240 hours | of advanced sick leave | and more | that nobody asked for |", True),
        ("up to 240 hours", True),
        ("240", False),
        ("of", False),
        ("", False),
        ("Advanced annual leave is granted for up to 40 hours.", False),
        ("You can ask for hours of rest, and up to three days of leave.", False),
    ],
)
def test_quotes_of_the_same_place_overlap(quote: str, overlaps: bool) -> None:
    assert any_overlaps([quote], GOLD) is overlaps


def test_overlap_with_one_gold_quote_suffices() -> None:
    assert any_overlaps(["something else", "up to 240 hours"], GOLD)
    assert not any_overlaps([], GOLD)


def test_link_targets_are_not_part_of_a_quote() -> None:
    assert any_overlaps(
        ["Ask Ann or Bo."], "Ask [Ann](https://example.org/a) or [Bo](https://example.org/b)."
    )


def test_one_word_gold_quote_can_be_matched() -> None:
    assert any_overlaps(["The answer is yes."], "Yes.")
    assert not any_overlaps(["!"], "?")
