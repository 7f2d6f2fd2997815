import pytest

from retrieval.answering.text.answer_types import counted_noun_pattern, expected_answer_type


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("What is the current Wi-Fi password?", "code"),
        ("What are the password requirements?", None),
        ("What does one seat cost per month?", "amount"),
        ("Was kostet ein Parkplatz?", "amount"),
        ("How many days of leave do I earn?", "number"),
        ("How many dollars may I put in?", "amount"),
        ("What percentage do I pay?", "share"),
        ("At what age can I retire?", "age"),
        ("In which year was it founded?", "year"),
        ("What time does it open?", "clock"),
        ("How often do I sign in?", "frequency"),
        ("Wie lange dauert die Prüfung?", "span"),
        ("What is the phone number of IT?", "contact"),
        ("When is the deadline?", "date"),
        ("How do I ask for leave?", None),
    ],
)
def test_question_has_an_expected_answer_type(question: str, kind: str | None) -> None:
    found = expected_answer_type(question)
    assert (found and found.name) == kind


@pytest.mark.parametrize(
    ("question", "text", "holds"),
    [
        ("How much is lunch?", "Lunch is served at noon.", False),
        ("How much is the lunch to pay?", "Lunch is $9.", True),
        ("What does a licence cost?", "It stops with less than ten parts of free disk space.", False),
        ("What does a licence cost?", "A licence is free.", True),
        ("What percentage do I pay?", "You pay a part of it.", False),
        ("What percentage do I pay?", "You pay 3%.", True),
        ("At what age can I retire?", "Retire after 20 years of service.", False),
        ("At what age can I retire?", "Retire at age 57.", True),
        ("How often do I sign in?", "Sign in at least once in 90 days.", True),
        ("How often do I sign in?", "Sign in with your badge.", False),
        ("Wie lange dauert es?", "Es dauert zwei Wochen.", True),
        ("Wann ist Schluss?", "Bis Ende März.", True),
    ],
)
def test_answer_type_is_found_in_a_text(question: str, text: str, holds: bool) -> None:
    kind = expected_answer_type(question)
    assert kind is not None
    assert kind.matches(text) is holds


@pytest.mark.parametrize(
    ("question", "text", "holds"),
    [
        ("How many paid hours do I get?", "You get 80 hours.", True),
        ("How many paid hours do I get?", "You get twelve of those paid hours.", True),
        ("How many paid hours do I get?", "You get 3 gifts, and hours to enjoy them.", True),
        ("How many paid hours do I get?", "Hours are paid by 2 offices.", False),
        ("Wie viele Tage Urlaub habe ich?", "Sie haben 30 Tage Urlaub.", True),
        ("Wie viele Tage Urlaub habe ich?", "Urlaub wird in Tagen gezählt.", False),
    ],
)
def test_counted_noun_pattern_matches_numbers_of_the_noun(question: str, text: str, holds: bool) -> None:
    pattern = counted_noun_pattern(question)
    assert pattern is not None
    assert (pattern.search(text) is not None) is holds
