import pytest

from retrieval.answering.grounding.check import Ground
from retrieval.answering.grounding.conflicts import find_conflicts
from retrieval.types import Hit
from tests.retrieval.answering.builders import make_hit

QUESTION = "How many days of annual leave do employees get?"


def conflicting_figures(
    one: str, other: str, *, question: str = QUESTION, titles: tuple[str, str] = ("Leave", "FAQ")
) -> list[tuple[str, str] | None]:
    hits: list[Hit] = [make_hit(text, title=title) for text, title in zip((one, other), titles, strict=True)]
    return [found.figures for found in find_conflicts(question, [Ground(hits[0], one)], hits)]


OLD = "Employees get 25 days of annual leave a year."


@pytest.mark.parametrize(
    ("one", "other", "figures"),
    [
        (OLD, "Since 2023, employees get 27 days of annual leave a year.", ("25 days", "27 days")),
        (
            "The annual leave entitlement is 25 days.",
            "Annual leave is 27 days per year.",
            ("25 days", "27 days"),
        ),
        (
            "Annual leave is 25 days, of which 5 days may be carried over.",
            "Annual leave is 27 days, of which 5 days may be carried over.",
            ("25 days", "27 days"),
        ),
        (
            "All of the annual leave that employees get must be requested by March 31.",
            "All of the annual leave that employees get must be requested by April 30.",
            ("March 31", "April 30"),
        ),
        (
            "Annual leave days employees get end at 5 pm.",
            "Annual leave days employees get end at 3 pm.",
            ("5 pm", "3 pm"),
        ),
        ("Annual leave may be taken in days.", "Annual leave may not be taken in days.", None),
    ],
)
def test_different_figures_about_one_subject_conflict(
    one: str, other: str, figures: tuple[str, str] | None
) -> None:
    assert conflicting_figures(one, other) == [figures]


def test_conflict_of_german_figures_is_found() -> None:
    question = "Wie viele Tage Urlaub erhalten Beschäftigte?"
    one, other = (
        "Beschäftigte erhalten 25 Tage Urlaub.",
        "Seit 2023 erhalten alle Beschäftigten 27 Tage Urlaub.",
    )
    assert conflicting_figures(one, other, question=question, titles=("Urlaub 2021", "Urlaub 2023")) == [
        ("25 Tage", "27 Tage")
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (OLD, OLD),
        (OLD, "Employees get twenty-five days of annual leave per year."),
        (OLD, "Part-time employees get 12 days of annual leave a year."),
        (OLD, "Employees get 10 days of sick leave a year."),
        (OLD, "Employees get 200 hours of annual leave a year."),
        (OLD, "Employees in Berlin get 27 days of annual leave a year."),
        ("Employees get at least 25 days of annual leave.", "Employees get at most 30 days of annual leave."),
        ("Annual leave takes 5 days to approve.", "Annual leave takes 10 days to pay out."),
        ("Annual leave is paid.", "Annual leave is not transferable."),
    ],
)
def test_different_subjects_do_not_conflict(one: str, other: str) -> None:
    assert conflicting_figures(one, other) == []


def test_figures_outside_the_question_do_not_conflict() -> None:
    one, other = "Processing takes 5 business days.", "Processing takes 10 business days."
    assert (
        conflicting_figures(
            one, other, question="How long does a laptop order take?", titles=("Laptop orders", "Phones")
        )
        == []
    )


def test_versions_of_one_title_conflict_despite_reworded_sentences() -> None:
    one, other = (
        "Staff travel hotels cost up to $180 a night.",
        "Staff travel hotels may cost up to $200 a night.",
    )
    question = "What may a hotel cost a night in travel?"
    assert conflicting_figures(one, other, question=question, titles=("Travel 2021", "Travel 2023")) == [
        ("$180", "$200")
    ]


def test_minimum_and_maximum_do_not_conflict() -> None:
    one, other = "Annual leave lasts at least 5 days.", "Annual leave lasts at most 30 days."
    assert (
        conflicting_figures(
            one, other, question="How long does annual leave last?", titles=("Leave 2021", "Leave 2023")
        )
        == []
    )


def test_single_document_does_not_conflict_with_itself() -> None:
    first, second = make_hit(OLD), make_hit(OLD.replace("25", "27"), ordinal=1)
    assert find_conflicts(QUESTION, [Ground(first, first.text)], [first, second]) == []
