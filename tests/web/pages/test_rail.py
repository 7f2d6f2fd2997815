"""The list of conversations beside every page."""

import re
from collections.abc import Callable
from datetime import timedelta

from django.test import Client
from django.utils import timezone

from cairn.access.models import Grant, Role
from cairn.access.principals import principal_for_user
from cairn.accounts.models import User
from retrieval.conversations.services import conversation_pin, conversation_start
from retrieval.models import Conversation, Message
from tests.web.pages.conftest import text_of
from web.pages.shell.sidebar import SHOWN

SignIn = Callable[[User], Client]


def titles(html: str) -> list[str]:
    plain = re.sub("</?mark>", "", html)
    return re.findall(
        r'<a class="rail-link"[^>]*><span class="rail-text"><span class="truncate">([^<]*)</span>', plain
    )


def snippets(html: str) -> list[str]:
    return re.findall(r'<span class="rail-snippet">(.*?)</span>', html, re.DOTALL)


def headings(html: str) -> list[str]:
    return re.findall(r"<h2>([^<]*)</h2>", html)


def started(user: User, title: str, *, days: int = 0) -> Conversation:
    made = conversation_start(principal=principal_for_user(user), question=title)
    made.updated_at = timezone.now() - timedelta(days=days)
    made.save()
    return made


def test_pinned_conversations_come_first(signed_in: SignIn, mia: User) -> None:
    old = started(mia, "Old", days=40)
    started(mia, "New")
    conversation_pin(conversation=old, pinned=True)
    for path in ("/conversations", "/library"):
        html = text_of(signed_in(mia).get(path))
        assert titles(html) == ["Old", "New"]
        assert headings(html)[:2] == ["Pinned", "Today"]
    conversation_pin(conversation=old, pinned=False)
    assert headings(text_of(signed_in(mia).get("/conversations"))) == ["Today", "Earlier"]


def test_further_conversations_are_loaded_on_demand_without_duplicates(signed_in: SignIn, mia: User) -> None:
    made = [started(mia, f"Number {number}", days=number) for number in range(2 * SHOWN + 5)]
    conversation_pin(conversation=made[3], pinned=True)
    client, path, shown, told = signed_in(mia), "/conversations", list[str](), list[str]()
    for _ in range(3):
        html = text_of(client.get(path))
        shown, told = shown + titles(html), told + headings(html)
        [path] = re.findall(r'hx-get="([^"]*)"', html) or [""]
        path = path.replace("&amp;", "&")
    assert path == ""
    assert shown[0] == "Number 3"
    assert sorted(shown) == sorted(row.title for row in made)
    assert told == ["Pinned", "Today", "Yesterday", "Last seven days", "Earlier"]


def test_invalid_sidebar_cursor_is_not_found(signed_in: SignIn, mia: User) -> None:
    client = signed_in(mia)
    for cursor in ("x", "MQ", "a" * 500):
        assert client.get("/conversations", {"cursor": cursor}).status_code == 404


def test_sidebar_search_ignores_withheld_answers(
    signed_in: SignIn, rob: User, answered: Callable[..., Message], grant: Callable[[User, Role], None]
) -> None:
    grant(rob, Role.READER)
    answered(rob, question="About leave")
    client = signed_in(rob)
    assert titles(text_of(client.get("/conversations", {"q": "40 hours"}))) == ["About leave"]
    Grant.objects.filter(user=rob).delete()
    assert titles(text_of(client.get("/conversations", {"q": "40 hours"}))) == []


def test_sidebar_hits_show_their_sentence(
    signed_in: SignIn, mia: User, answered: Callable[..., Message]
) -> None:
    answered(mia, question="How much leave may I give, please?", answer="Up to **40** hours [1].\n\nNo more.")
    client = signed_in(mia)

    def found(query: str) -> list[str]:
        return snippets(text_of(client.get("/conversations", {"q": query})))

    assert found("LEAVE may") == ["How much <mark>leave may</mark> I give, please?"]
    assert found("hours") == ["Up to 40 <mark>hours</mark>. No more."]
    assert found("**40**") == ["Up to <mark>**40**</mark> hours [1]. No more."]
    assert found("") == []


def test_sidebar_hit_in_a_long_answer_is_excerpted(
    signed_in: SignIn, mia: User, answered: Callable[..., Message]
) -> None:
    answered(mia, answer=f"{'before ' * 5000}needle {'after ' * 5000}")
    [text] = snippets(text_of(signed_in(mia).get("/conversations", {"q": "needle"})))
    assert text.startswith("…before ")
    assert " <mark>needle</mark> after" in text
    assert text.endswith("after…")
    assert len(text) < 200


def test_sidebar_snippets_exclude_withheld_answers(
    signed_in: SignIn, rob: User, answered: Callable[..., Message], grant: Callable[[User, Role], None]
) -> None:
    """The question matches as well, so that the conversation is found in any case."""
    grant(rob, Role.READER)
    message = answered(rob, question="Who is entitled to hours?", answer="hours of the secret [1]")
    Message.objects.create(conversation=message.conversation, question="hours", answer="", state="failed")
    client = signed_in(rob)
    assert "secret" in text_of(client.get("/conversations", {"q": "hours of"}))
    Grant.objects.filter(user=rob).delete()
    assert snippets(text_of(client.get("/conversations", {"q": "hours of"}))) == []
    assert "secret" not in text_of(client.get("/conversations", {"q": "hours"}))


def test_markup_in_hits_is_escaped(signed_in: SignIn, mia: User, answered: Callable[..., Message]) -> None:
    answered(
        mia, question="<script>alert(1)</script> <b>\u202ebold</b>", answer="<img src=x onerror=alert(1)>"
    )
    client = signed_in(mia)
    for query in ("alert", "<b>", "<script>", "onerror", "bold"):
        html = text_of(client.get("/conversations", {"q": query}))
        assert not re.search("<script>|<b>|<img|\u202e", "".join(snippets(html))), query
    html = text_of(client.get("/conversations", {"q": "<b>"}))
    assert "<mark>&lt;b&gt;</mark>" in html


def test_conversation_titles_are_escaped(signed_in: SignIn, mia: User) -> None:
    started(mia, '"><script>alert(1)</script>')
    html = text_of(signed_in(mia).get("/conversations"))
    assert "<script>" not in html
    assert html.count('data-title="&quot;&gt;&lt;script&gt;') == 1
