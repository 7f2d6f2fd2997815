"""A refusal is in one language: the question's, not that of the documents, the browser or a part of it."""

import string
from collections.abc import Iterator

import pytest

from cairn.library.models import Document
from retrieval.answering.text.refusals import REFUSALS, REPLY_LANGUAGES, ReplyLanguage
from retrieval.engine import Engine
from tests.web.api.conftest import Caller, indexed
from tests.web.pages.conftest import text_of

pytestmark = pytest.mark.django_db(transaction=True)
QUESTIONS: dict[ReplyLanguage, str] = {
    "en": "How many parking spaces does the Zarquon office have?",
    "de": "Wie viele Parkplätze gibt es im Büro Zarquon?",
    "fr": "Combien de places de parking y a-t-il au bureau Zarquon ?",
    "es": "¿Cuántas plazas de aparcamiento hay en la oficina Zarquon?",
    "it": "Quanti posti auto ci sono nell’ufficio Zarquon?",
    "pt": "Quantos lugares de estacionamento existem no escritório Zarquon?",
    "nl": "Hoeveel parkeerplaatsen zijn er bij het kantoor Zarquon?",
    "da": "Hvor mange parkeringspladser er der på kontoret Zarquon?",
}
TEXTS = {
    "en": ("Employees get 25 days of leave a year.", "Bicycles are parked behind the house."),
    "de": ("Beschäftigte haben 25 Tage Urlaub im Jahr.", "Fahrräder werden hinter dem Haus abgestellt."),
}


@pytest.fixture(params=TEXTS)
def library(request: pytest.FixtureRequest, document: Document, parts: Engine) -> Document:
    indexed(document, parts, *TEXTS[request.param])
    return document


def fixed_parts(text: str) -> Iterator[str]:
    """Return the text without its parameters."""
    yield from (part for part, *_ in string.Formatter().parse(text) if len(part) > 2)


def foreign(text: str, language: ReplyLanguage) -> set[str]:
    """Languages other than this one with a text of which all fixed parts are there."""
    found = set()
    for key, texts in REFUSALS.items():
        own = set(fixed_parts(texts[language]))
        for other in REPLY_LANGUAGES:
            there = list(fixed_parts(texts[other]))
            if not own.issuperset(there) and all(part in text for part in there):
                found.add(f"{key} in {other}")
    return found


@pytest.mark.parametrize("interface", ["en", "de"])
@pytest.mark.parametrize("language", REPLY_LANGUAGES)
def test_refusal_is_written_in_the_language_of_the_question(
    mia: Caller, library: Document, language: ReplyLanguage, interface: str
) -> None:
    mia.client.force_login(mia.user)
    answer = mia.post("/ask", {"question": QUESTIONS[language]}).json()
    assert answer["verdict"] == "refused"
    assert answer["nearest"]
    assert not foreign(answer["reason"], language)
    starts = {texts[language].partition("{")[0] for texts in REFUSALS.values()}
    assert any(answer["reason"].startswith(start) for start in starts if len(start) > 10), answer["reason"]

    rendered = mia.client.get(f"/messages/{answer['id']}/rendered", headers={"Accept-Language": interface})
    html = text_of(rendered)
    footer = html[html.index("verdict-refused") :].partition("answer-actions")[0]
    for key in ("refused", "related", "advice"):
        assert REFUSALS[key][language] in footer
    assert answer["reason"] in footer
    assert footer.count(f'lang="{language}"') == 3
    shown = footer.partition("passing-on")[0]
    assert not foreign(shown, language)

    exported = mia.client.get(
        f"/api/v1/conversations/{answer['conversation']}/export?format=markdown",
        headers={"Accept-Language": interface},
    )
    text = exported.content.decode()
    assert f"*{REFUSALS['refused'][language]}. " in text
    assert REFUSALS["related"][language] in text


def test_question_part_without_known_words_does_not_change_the_language(
    mia: Caller, library: Document
) -> None:
    asked = "Wer genehmigt Reisen nach Zarquon und was kostet Parken in Quibble?"
    answer = mia.post("/ask", {"question": asked}).json()
    assert answer["verdict"] == "refused"
    assert len(answer["parts"]) == 2
    for reason in (answer["reason"], *(part["reason"] for part in answer["parts"])):
        assert not foreign(reason, "de"), reason


def test_every_refusal_text_exists_in_every_language() -> None:
    for key, texts in REFUSALS.items():
        assert set(texts) == set(REPLY_LANGUAGES), key
        assert all(texts.values()), key
        blanks = [[name for _, name, *_ in string.Formatter().parse(each) if name] for each in texts.values()]
        assert all(each == blanks[0] for each in blanks), key


@pytest.mark.parametrize(
    "keywords",
    ["parental leave policy", "Sabbatical?", "Kubernetes admin password", "Budget 2027", "data retention"],
)
def test_english_keywords_are_english(mia: Caller, library: Document, keywords: str) -> None:
    reason = mia.post("/ask", {"question": f"{keywords} Zarquon"}).json()["reason"]
    assert not foreign(reason, "en"), reason
