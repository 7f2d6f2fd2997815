"""Questions that are refused while documents are still being read, as after an installation."""

import pytest

from cairn.library.models import Document
from retrieval.answering.text.refusals import REFUSALS, ReplyLanguage
from retrieval.engine import Engine
from retrieval.gaps.models import GapQuestion
from tests.web.api.conftest import Caller, indexed
from tests.web.pages.conftest import text_of

pytestmark = pytest.mark.django_db(transaction=True)
QUESTIONS: dict[ReplyLanguage, str] = {"en": "Where are bicycles parked?", "de": "Wo stehen die Fahrräder?"}


def refuse(caller: Caller, question: str) -> str:
    """Ask a question that is refused, and return it as the page shows it."""
    caller.client.force_login(caller.user)
    answer = caller.post("/ask", {"question": question}).json()
    assert answer["verdict"] == "refused"
    return text_of(caller.client.get(f"/messages/{answer['id']}/rendered"))


@pytest.mark.parametrize("language", QUESTIONS)
def test_page_of_a_refusal_names_unfinished_parsing(
    mia: Caller, document: Document, parts: Engine, language: ReplyLanguage
) -> None:
    html = refuse(mia, QUESTIONS[language])
    assert REFUSALS["being_read"][language] in html
    assert REFUSALS["advice"][language] not in html
    assert GapQuestion.objects.exists(), "the asker is notified when the documents answer it"


def test_refusal_after_parsing_has_the_usual_text(mia: Caller, document: Document, parts: Engine) -> None:
    indexed(document, parts, "Employees get 25 days of leave a year.")
    html = refuse(mia, "Which planets does the Zarquon office own?")
    assert REFUSALS["advice"]["en"] in html


def test_unreadable_documents_do_not_count_as_unfinished(
    rob: Caller, document: Document, parts: Engine
) -> None:
    assert REFUSALS["advice"]["en"] in refuse(rob, QUESTIONS["en"])
