import pytest

from retrieval.answering.grounding.negation import contradicts
from retrieval.answering.text.lexicon import Language


@pytest.mark.parametrize(
    ("claim", "evidence", "language"),
    [
        ("You may share calendars.", "You must not share passwords. You may share calendars.", "en"),
        ("You must not share passwords.", "Sharing passwords is prohibited.", "en"),
        ("They give you a reason.", "They will give you a reason if the request is not approved.", "en"),
        ("Term employees are ineligible.", "Term employees are not eligible.", "en"),
        ("You need a badge to enter.", "You cannot enter without a badge.", "en"),
        ("Reply no later than Friday.", "Reply by Friday.", "en"),
        ("It will not copy photos or audio.", "The backup does not copy photos, nor audio.", "en"),
        ("Neither guests nor interns get a badge.", "Guests and interns do not get a badge.", "en"),
        ("Passwörter dürfen nicht geteilt werden.", "Es ist verboten, Passwörter zu teilen.", "de"),
        ("Urlaub kann übertragen werden.", "Urlaub kann übertragen werden.", "de"),
    ],
)
def test_agrees(claim: str, evidence: str, language: Language) -> None:
    assert not contradicts(claim, evidence, language)


@pytest.mark.parametrize(
    ("claim", "evidence", "language"),
    [
        ("You may share passwords.", "You must not share passwords. You may share calendars.", "en"),
        ("You must not share calendars.", "You must not share passwords. You may share calendars.", "en"),
        ("Leave can be paid out.", "Leave cannot be paid out.", "en"),
        ("Leave isn't paid out.", "Leave is paid out.", "en"),
        ("Term employees are eligible.", "Term employees are ineligible.", "en"),
        ("A reason is given if the request is approved.", "A reason is given if it is not approved.", "en"),
        ("Guests and interns get a badge.", "Neither guests nor interns get a badge.", "en"),
        ("It copies audio.", "It does not copy photos or audio.", "en"),
        (
            "Figma plugins require approval.",
            "Figma plugins are okay to use and don't require approval.",
            "en",
        ),
        ("Never restart the machine.", "The canteen is on the first floor.", "en"),
        ("Urlaub wird ausgezahlt.", "Urlaub wird nicht ausgezahlt.", "de"),
        ("Es gibt keine Vertretung.", "Es gibt eine Vertretung.", "de"),
    ],
)
def test_contradicts(claim: str, evidence: str, language: Language) -> None:
    assert contradicts(claim, evidence, language)
