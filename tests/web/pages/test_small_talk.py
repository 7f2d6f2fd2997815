"""Small talk in the chat: a reply without a verdict, and examples to click."""

from collections.abc import Callable

from django.test import Client

from cairn.access.principals import principal_for_user
from cairn.accounts.models import User
from cairn.library.models import Document
from retrieval.conversations.ask import ask
from retrieval.models import Message
from retrieval.suggestions.services import suggestions_replace
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
Answered = Callable[..., Message]


def test_small_talk_reply_has_no_verdict_and_links_examples(
    signed_in: SignIn, mia: User, rob: User, ready: Document
) -> None:
    suggestions_replace(ready)
    message = ask(principal=principal_for_user(mia), question="hello").message
    client = signed_in(mia)
    rendered = text_of(client.get(f"/messages/{message.id}/rendered"))
    assert "Hello! What would you like to know?" in rendered
    assert "verdict" not in rendered
    assert "data-rate" not in rendered
    assert f'hx-get="/messages/{message.id}/suggestions"' in rendered
    examples = text_of(client.get(f"/messages/{message.id}/suggestions"))
    assert 'data-ask="What should I know about Giving leave?"' in examples
    assert "Try asking" in examples
    assert signed_in(rob).get(f"/messages/{message.id}/suggestions").status_code == 404


def test_small_talk_reply_declares_its_language(signed_in: SignIn, mia: User, ready: Document) -> None:
    message = ask(principal=principal_for_user(mia), question="merci").message
    rendered = text_of(signed_in(mia).get(f"/messages/{message.id}/rendered"))
    assert 'lang="fr"><p>Avec plaisir' in rendered


def test_questions_are_suggested_after_the_last_turn_only(
    signed_in: SignIn, mia: User, answered: Answered
) -> None:
    first = answered(mia)
    principal = principal_for_user(mia)
    last = ask(
        principal=principal, question="thanks", conversation=first.conversation_id, parent=first.id
    ).message
    client = signed_in(mia)
    shown = text_of(client.get(f"/conversations/{first.conversation_id}"))
    assert f"/messages/{last.id}/suggestions" in shown
    assert f"/messages/{first.id}/suggestions" not in shown
    above = text_of(client.get(f"/conversations/{first.conversation_id}/turns?before={last.id}"))
    assert str(first.id) in above
    assert "/suggestions" not in above


def test_shared_reply_has_no_verdict(signed_in: SignIn, mia: User, rob: User, ready: Document) -> None:
    message = ask(principal=principal_for_user(mia), question="hello").message
    client = signed_in(mia)
    url = f"/api/v1/conversations/{message.conversation_id}/share"
    share = client.put(url, '{"subjects": ["everyone"]}', content_type="application/json").json()
    shared = text_of(signed_in(rob).get(share["url"]))
    assert "Hello! What would you like to know?" in shared
    assert 'class="verdict' not in shared
