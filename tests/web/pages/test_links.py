"""Links of documents on the pages of the chat."""

from collections.abc import Callable

import pytest
from django.test import Client

from cairn.accounts.models import User
from retrieval.models import Citation, Message
from tests.web.pages.conftest import SENTENCE, text_of
from tests.web.pages.test_chat import citations_in

SignIn = Callable[[User], Client]
FORM = "https://forms.example.org/7"


@pytest.fixture
def message(mia: User, answered: Callable[..., Message]) -> Message:
    """An answer whose quote is "Full-time staff may give up to 40 hours a year.", with two links."""
    message = answered(mia, answer="You may give up to 40 hours, as [staff](https://evil.example). [1]")
    start, end = SENTENCE.index("40"), SENTENCE.index(" a year")
    links = [[start, end, FORM], [0, 15, "https://xn--exmple-4nf.org/"], [16, 19, "javascript:alert(1)"]]
    Citation.objects.update(links=links)
    return message


def test_answer_and_source_panel_show_links_of_the_quote(
    signed_in: SignIn, mia: User, message: Message
) -> None:
    html = text_of(signed_in(mia).get(f"/conversations/{message.conversation_id}"))
    rel = 'rel="nofollow noopener noreferrer"'
    host = '<span class="link-host">(forms.example.org)</span>'
    assert f'<a href="{FORM}" target="_blank" {rel}>40 hours</a> {host}' in html
    assert "evil.example" not in html
    assert "javascript:" not in html
    [citation] = citations_in(html)
    assert citation["links"] == [
        {"text": "40 hours", "url": FORM},
        {"text": "Full-time staff", "url": "https://xn--exmple-4nf.org/"},
    ]
    assert 'id="panel-links"' in html


def test_answer_without_stored_links_shows_none(signed_in: SignIn, mia: User, message: Message) -> None:
    Citation.objects.update(links=None)
    html = text_of(signed_in(mia).get(f"/messages/{message.id}/rendered"))
    assert FORM not in html
    assert citations_in(html)[0]["links"] == []
