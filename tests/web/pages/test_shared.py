"""The page of a shared conversation, and the dialog that shares it."""

from collections.abc import Callable

from django.test import Client

from cairn.access.models import Role
from cairn.accounts.models import User
from retrieval.conversations.shares import NOT_OPEN, share_put
from retrieval.models import Conversation, Message, Share
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
Answered = Callable[..., Message]


def shared(message: Message, *to: str) -> Share:
    return share_put(conversation=message.conversation, subjects=list(to) or ["everyone"], actor=None)


def test_shared_conversation_is_read_only_for_its_reader(
    signed_in: SignIn, mia: User, rob: User, answered: Answered, grant: Callable[[User, Role], None]
) -> None:
    grant(rob, Role.READER)
    share = shared(answered(mia))
    html = text_of(signed_in(rob).get(f"/shared/{share.id}"))
    assert "Shared by mia" in html
    assert "How much may I give?" in html
    assert "Up to 40 hours" in html
    assert "Continue this conversation" in html
    for way in ("data-rate", "composer", "data-again", "data-edit"):
        assert way not in html


def test_shared_conversation_withholds_unreadable_answers(
    signed_in: SignIn, mia: User, rob: User, answered: Answered
) -> None:
    share = shared(answered(mia))
    html = text_of(signed_in(rob).get(f"/shared/{share.id}"))
    assert "How much may I give?" in html
    assert NOT_OPEN in html
    assert "Continue this conversation" not in html
    assert "40 hours" not in html
    assert "Leave rules" not in html


def test_continuing_a_share_creates_an_own_conversation(
    signed_in: SignIn, mia: User, rob: User, answered: Answered, grant: Callable[[User, Role], None]
) -> None:
    grant(rob, Role.READER)
    client = signed_in(rob)
    response = client.post(f"/shared/{shared(answered(mia)).id}/continue")
    own = Conversation.objects.get(user=rob)
    assert response["Location"] == f"/conversations/{own.id}"
    assert "Up to 40 hours" in text_of(client.get(response["Location"]))


def test_continuing_a_share_without_access_redirects_back(
    signed_in: SignIn, mia: User, rob: User, answered: Answered
) -> None:
    share = shared(answered(mia))
    response = signed_in(rob).post(f"/shared/{share.id}/continue")
    assert response["Location"] == f"/shared/{share.id}"
    assert not Conversation.objects.filter(user=rob).exists()


def test_revoked_and_unknown_share_links_look_equal(
    signed_in: SignIn, mia: User, rob: User, answered: Answered
) -> None:
    share = shared(answered(mia), f"user:{mia.id}")
    client = signed_in(rob)
    theirs, never = client.get(f"/shared/{share.id}"), client.get(f"/shared/{rob.id}")
    assert theirs.status_code == never.status_code == 404
    assert theirs.content == never.content
    assert client.get("/shared/nonsense").status_code == 404


def test_share_link_asks_for_sign_in_and_returns(mia: User, answered: Answered) -> None:
    share = shared(answered(mia))
    assert Client().get(f"/shared/{share.id}")["Location"] == f"/login?next=/shared/{share.id}"


def test_admin_viewing_as_a_user_cannot_open_a_share(
    signed_in: SignIn, admin: User, mia: User, rob: User, answered: Answered
) -> None:
    share = shared(answered(mia), f"user:{rob.id}")
    client = signed_in(admin)
    client.post(f"/admin/users/{rob.id}/view-as")
    assert client.get(f"/shared/{share.id}").status_code == 404


def test_sharing_dialog_shows_what_readers_see_and_who_they_are(
    signed_in: SignIn, mia: User, rob: User, answered: Answered
) -> None:
    message = answered(mia)
    client, path = signed_in(mia), f"/conversations/{message.conversation_id}/sharing"
    html = text_of(client.get(path))
    assert "see your questions as you typed them" in html
    assert "Stop sharing" not in html
    share = shared(message, f"user:{rob.id}")
    html = text_of(client.get(path))
    assert f'value="http://testserver/shared/{share.id}"' in html
    assert f'data-subject="user:{rob.id}"' in html
    assert "Update link" not in html
    newer = Message.objects.create(
        conversation=message.conversation, parent=message, question="And?", state="done"
    )
    Conversation.objects.filter(pk=message.conversation_id).update(current=newer)
    assert "Update link" in text_of(client.get(path))
