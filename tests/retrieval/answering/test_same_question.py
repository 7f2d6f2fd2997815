"""The same question in other spellings, and different questions in almost the same words."""

from itertools import combinations

import pytest

from retrieval.answering.query.same_question import question_key

SAME = [
    ("What is on the menu of the cafeteria on Fridays?", "what's on the Menu of the cafeteria, on friday"),
    ("When does the canteen close?", "Could you please tell me when the canteen closes?"),
    ("On Fridays, what is the lunch menu?", "What is the lunch menu on Fridays?"),
    ("How many days of leave do I get after two years?", "How many days of leave do we get after 2 years??"),
    ("Can't I bring a dog?", "Cannot I bring a dog"),
    ("How do I reset my password?", "How do you reset the password, please?"),
    ("Which boxes do we use?", "Which box do we use?"),
    ("Which policies apply?", "Which policy applies?"),
    ("Wie viele Tage Urlaub bekomme ich?", "Wie viele Tage Urlaub bekomme ich bitte?"),
    ("Wann schließt die Kantine?", "Hallo, wann schliesst unsere Kantine?"),
    ("Für Werkstudenten, gilt die Regel?", "Gilt die Regel für Werkstudenten?"),
    ("休暇は何日ですか", "休暇は何日ですか？"),
]
DIFFERENT = [
    ("Is the car park free for contractors?", "Is the car park free for employees?"),
    ("Is the car park free?", "Is the car park free for contractors?"),
    ("What is the hotel rate in 2024?", "What is the hotel rate in 2025?"),
    ("Is leave paid after 2 years?", "Is leave paid after 12 years?"),
    ("Is the limit 1.5 days?", "Is the limit 15 days?"),
    ("Is the limit 50 %?", "Is the limit 50 €?"),
    ("Is it open below -5 degrees?", "Is it open below 5 degrees?"),
    ("May I bring a dog?", "May I not bring a dog?"),
    ("Is a badge needed?", "Isn't a badge needed?"),
    ("Is it allowed with a badge?", "Is it allowed without a badge?"),
    ("Which flights go from Berlin to Paris?", "Which flights go from Paris to Berlin?"),
    ("Can managers overrule directors?", "Can directors overrule managers?"),
    ("What is the fee for internal transfers?", "What is the fee for international transfers?"),
    ("What is the number of the police?", "What is the number of the policy?"),
    ("Who is the employer?", "Who is the employee?"),
    ("Is the C++ style guide binding?", "Is the C style guide binding?"),
    ("What was the rate?", "What is the rate?"),
    ("When must I pay?", "Where must I pay?"),
    ("Must I pay before the trip?", "Must I pay after the trip?"),
    ("What is the minimum stay?", "What is the maximum stay?"),
    ("Who approves plan A?", "Who approves plan B?"),
    ("Where is the news?", "Where is the new?"),
    ("Gilt das für Angestellte?", "Gilt das für Werkstudenten?"),
    ("Darf ich meinen Hund mitbringen?", "Darf ich meinen Hund nicht mitbringen?"),
    ("Muss ich kündigen?", "Kann ich kündigen?"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_filler_words_do_not_change_the_question_key(one: str, other: str) -> None:
    assert question_key(one) == question_key(other) != ()


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_words_change_the_question_key(one: str, other: str) -> None:
    assert question_key(one) != question_key(other)


def test_different_questions_have_different_keys() -> None:
    questions = [one for one, _ in SAME] + [question for pair in DIFFERENT for question in pair]
    keys = {question: question_key(question) for question in questions}
    equal = [(one, other) for one, other in combinations(keys, 2) if keys[one] == keys[other]]
    assert equal == []


@pytest.mark.parametrize("text", ["", " ?", "the", "Is the?", "…"])
def test_text_without_words_has_no_question_key(text: str) -> None:
    assert question_key(text) == ()
