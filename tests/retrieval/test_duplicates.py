import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.passages.near_duplicates import Fingerprint

RULE = (
    "Employees who travel for work may have their hotel costs reimbursed up to 180 dollars a night. The "
    "voucher is submitted to Payroll within 5 business days after the trip, together with the receipts "
    "of each night and the approval of the supervisor, and not later."
)


def alike(one: str, other: str) -> bool:
    forward, back = Fingerprint(one).matches(Fingerprint(other)), Fingerprint(other).matches(Fingerprint(one))
    assert forward == back
    return forward


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("", ""),
        ("together with", "along with"),
        (" and the ", ", the "),
        (". The voucher", ".\n\n* The voucher"),
        ("for work", "for  WORK,"),
        ("supervisor", "suprevisor"),
    ],
)
def test_nearly_equal_texts_are_duplicates(was: str, becomes: str) -> None:
    assert alike(RULE, RULE.replace(was, becomes) if was else RULE)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("180", "195"),
        ("5 business", "7 business"),
        ("180 dollars", "dollars"),
        ("Payroll", "Finance"),
        (", and not later", ", and later"),
        ("after the trip", "before the trip"),
        ("may have", "must have"),
    ],
)
def test_relevant_differences_prevent_duplicates(was: str, becomes: str) -> None:
    assert not alike(RULE, RULE.replace(was, becomes))


def test_reordered_figures_are_not_a_duplicate() -> None:
    assert not alike(RULE, RULE.replace("180", "x").replace("5 b", "180 b").replace("x", "5"))


def test_text_with_over_a_tenth_of_new_words_is_not_a_duplicate() -> None:
    words = [f"term{chr(97 + n)}" for n in range(20)]
    assert alike(" ".join(words), " ".join([*words, "besides"]))
    assert not alike(" ".join(words), " ".join([*words[:-2], "quite", "different"]))
    assert not alike(RULE, f"{RULE} And much is said besides that has nothing to do with it at all.")


def test_word_frequency_affects_duplicates() -> None:
    assert not alike("a b c " * 10, "a b c " * 8 + "a " * 6)


@given(st.text(max_size=80), st.text(max_size=80))
def test_text_is_a_duplicate_of_itself_and_comparison_never_fails(one: str, other: str) -> None:
    assert alike(one, one)
    alike(one, other)
