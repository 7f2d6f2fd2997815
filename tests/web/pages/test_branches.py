"""The path of a conversation on its page: versions, what came before, and half answers."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from cairn.accounts.models import User
from retrieval.models import Conversation, Message
from tests.web.pages.conftest import text_of
from web.pages.chat import views

SignIn = Callable[[User], Client]
Answered = Callable[..., Message]


def shown(html: str) -> list[str]:
    return re.findall(r'<article class="turn" data-message="([^"]+)"', html)


@pytest.fixture
def first(mia: User, answered: Answered) -> Message:
    return answered(mia)


def after(message: Message, question: str) -> Message:
    fields = {"question": question, "answer": "So.", "state": "done", "verdict": "supported"}
    row = Message.objects.create(conversation=message.conversation, parent=message, **fields)
    Conversation.objects.filter(pk=message.conversation_id).update(current=row)
    return row


def test_answer_versions_are_navigable(signed_in: SignIn, mia: User, first: Message) -> None:
    old, new = after(first, "And then?"), after(first, "And then?")
    client, address = signed_in(mia), f"/conversations/{first.conversation_id}"
    html = text_of(client.get(address))
    assert shown(html) == [str(first.id), str(new.id)]
    assert html.count("2 of 2") == 1
    assert f'data-version="{old.id}" aria-label="Previous version"' in html
    assert re.search(r'disabled\s+aria-label="Next version"', html)
    assert f'data-parent="{first.id}"' in html
    Conversation.objects.update(current=old)
    assert shown(text_of(client.get(f"{address}/turns"))) == [str(first.id), str(old.id)]


def test_long_conversation_is_loaded_from_its_end(
    signed_in: SignIn, mia: User, first: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "TURNS", 2)
    rows = [first]
    for number in range(3):
        rows.append(after(rows[-1], f"Question {number}"))
    ids, address = [str(row.id) for row in rows], f"/conversations/{first.conversation_id}"
    client = signed_in(mia)
    html = text_of(client.get(address))
    assert shown(html) == ids[2:]
    assert f'data-earlier="{ids[2]}"' in html
    before = text_of(client.get(f"{address}/turns?before={ids[2]}"))
    assert shown(before) == ids[:2]
    assert "data-earlier" not in before
    assert client.get(f"{address}/turns?before={mia.id}").status_code == 404


def test_long_conversation_has_a_bounded_number_of_queries(
    signed_in: SignIn, mia: User, first: Message, django_assert_max_num_queries: Callable[..., object]
) -> None:
    rows = [Message(conversation=first.conversation, question=f"Question {n}", state="done", answer="So.")
            for n in range(500)]  # fmt: skip
    for above, row in zip([first, *rows], rows, strict=False):
        row.parent = above
    Message.objects.bulk_create(rows)
    Conversation.objects.update(current=rows[-1])
    client = signed_in(mia)
    with django_assert_max_num_queries(30):  # type: ignore[attr-defined]
        html = text_of(client.get(f"/conversations/{first.conversation_id}"))
    assert shown(html) == [str(row.id) for row in rows[-50:]]


def test_incomplete_answer_is_labelled_and_can_be_retried(
    signed_in: SignIn, mia: User, first: Message
) -> None:
    address = f"/messages/{first.id}/rendered"
    assert "Incomplete" not in text_of(signed_in(mia).get(address))
    past = timezone.now() - timedelta(minutes=1)
    Message.objects.filter(pk=first.pk).update(state="running", alive_at=past)
    html = text_of(signed_in(mia).get(address))
    for part in (
        "40 hours",
        "Incomplete",
        "The server stopped before the answer was complete.",
        "Ask again",
    ):
        assert part in html
    assert 'class="cite" data-marker="1"' in html
    Message.objects.filter(pk=first.pk).update(state="done", verdict="partial", trace={"broken_off": True})
    assert "Incomplete" in text_of(signed_in(mia).get(address))


def test_saved_feedback_is_shown_for_editing(signed_in: SignIn, mia: User, first: Message) -> None:
    evil = '"><script>alert(1)</script>'
    Message.objects.filter(pk=first.pk).update(rating="down", rating_reason="outdated", rating_comment=evil)
    html = text_of(signed_in(mia).get(f"/messages/{first.id}/rendered"))
    assert 'data-rate="down" data-reason="outdated"' in html
    assert "<script>alert" not in html
    page = text_of(signed_in(mia).get("/"))
    assert 'name="reason" value="outdated"' in page
    assert f'data-user="{mia.id}"' in page
