"""Invitations and password resets by mail: content, language, and what they don't reveal."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from cairn.accounts.models import Identity, PasswordLink, PasswordMail, User
from cairn.accounts.password_mails import mail_claim
from cairn.accounts.user_files import UserLine
from cairn.accounts.user_import import users_import
from cairn.celery import app
from cairn.settings import environment
from tests.mail_server import BREAKS, HANGS
from tests.web.api.conftest import Caller, admin, assert_problem, rob
from tests.web.mail.conftest import Configure, StartMail
from web.i18n import languages
from web.mail import connection, password_links
from web.mail.password_links import password_mails_send

__all__ = ["admin", "rob"]

FRESH = "a fresh one for today"
LINK = re.compile(r"http://testserver/set-password#(\S+)")


@pytest.fixture(autouse=True)
def workers(db: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run tasks as soon as they are sent. The names of those that were."""
    ran: list[str] = []

    def send(name: str, args: tuple[object, ...] = (), **_: object) -> None:
        ran.append(name)
        app.tasks[name](*args)

    app.loader.import_default_modules()
    monkeypatch.setattr(app, "send_task", send)
    cache.clear()
    return ran


@pytest.fixture
def mia(db: None) -> User:
    user = User.objects.create_user("mia", "her old password")
    User.objects.filter(pk=user.pk).update(display_name="Mia Meyer", email="mia@example.org")
    user.refresh_from_db()
    return user


def _forget(name: str, **headers: str) -> tuple[int, str]:
    response = Client().post("/forgot-password", {"name": name}, headers=headers)
    return response.status_code, response.content.decode()


def _sets_password(token: str) -> bool:
    form = {"token": token, "password": FRESH, "repeated": FRESH}
    return Client().post("/set-password", form).status_code == 302


def test_invitation_arrives_and_its_link_works_once(start_mail: StartMail, admin: Caller) -> None:
    server = start_mail()
    eve = {"username": "eve", "display_name": "Eve", "email": "eve@example.org"}
    made = admin.post("/users", eve).json()
    answer = admin.post(f"/users/{made['id']}/password-mail", {"days": 3})
    assert (answer.status_code, answer.json()) == (202, {"email": "eve@example.org"})
    [message] = server.messages
    assert (message["To"], message["Subject"]) == ("eve@example.org", "Your account in Cairn")
    text = message.get_content()
    assert text.startswith("Hello Eve,")
    assert "name is eve." in text
    [token] = LINK.findall(text)
    assert token not in str(list(PasswordMail.objects.values()))
    assert Client().post("/set-password/check", {"token": token}).status_code == 204
    assert _sets_password(token)
    assert not _sets_password(token)
    assert Client().post("/set-password/check", {"token": token}).status_code == 404
    assert PasswordMail.objects.get().sent_at


def test_password_mail_requires_a_server_and_an_address(
    start_mail: StartMail, configure_mail: Configure, admin: Caller, rob: Caller
) -> None:
    path = f"/users/{rob.user.id}/password-mail"
    configure_mail(smtp_host=None)
    assert_problem(admin.post(path, {}), 409, "conflict")
    start_mail()
    assert_problem(admin.post(path, {}), 409, "conflict")
    assert admin.post(f"/users/{rob.user.id}/password-link", {}).status_code == 201
    assert_problem(rob.post(path, {}), 403, "forbidden")


@pytest.mark.parametrize("name", ["mia", "MIA", "Mia@Example.org"])
def test_forgotten_password_is_reset(start_mail: StartMail, mia: User, name: str) -> None:
    server = start_mail()
    status, _html = _forget(name)
    assert status == 200
    [message] = server.messages
    [token] = LINK.findall(message.get_content())
    assert "a new password was requested" in message.get_content()
    assert _sets_password(token)
    mia.refresh_from_db()
    assert mia.check_password(FRESH)


def test_password_reset_does_not_reveal_accounts(
    start_mail: StartMail, mia: User, rob: Caller, workers: list[str]
) -> None:
    server = start_mail()
    answers = {_forget(name) for name in ("mia", "nobody", "rob", "mia@example.org", "x@example.org")}
    assert len({re.sub(r'value="\w+"', "", html) for _, html in answers}) == 1
    assert {status for status, _ in answers} == {200}
    assert workers == ["web.request_password_resets"] * 5
    assert len(server.messages) == 1  # the second one for Mia came within five minutes


def test_messages_are_in_the_language_of_the_person(start_mail: StartMail, mia: User) -> None:
    server = start_mail()
    _forget("mia", **{"Accept-Language": "de"})
    assert server.messages[0]["Subject"] == "Neues Passwort für Cairn"
    PasswordMail.objects.all().delete()
    User.objects.filter(pk=mia.pk).update(language="en")
    _forget("mia", **{"Accept-Language": "de"})
    assert server.messages[1]["Subject"] == "Set a new password for Cairn"


def test_invitations_are_in_the_language_of_the_person_or_the_default(
    start_mail: StartMail, admin: Caller, mia: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_mail()
    german = environment().model_copy(update={"default_language": "de"})
    monkeypatch.setattr(languages, "effective_environment", lambda: german)
    path = f"/users/{mia.id}/password-mail"
    assert admin.post(path, {}).status_code == 202
    User.objects.filter(pk=mia.pk).update(language="en")
    PasswordMail.objects.all().delete()
    assert admin.post(path, {}).status_code == 202
    assert [message["Subject"] for message in server.messages] == [
        "Neues Passwort für Cairn",
        "Set a new password for Cairn",
    ]


def test_disabled_users_and_users_without_a_password_get_no_mail(start_mail: StartMail, mia: User) -> None:
    server = start_mail()
    User.objects.filter(pk=mia.pk).update(is_active=False)
    _forget("mia")
    mia.refresh_from_db()
    mia.is_active = True
    mia.set_unusable_password()
    mia.save()
    _forget("mia")
    assert server.messages == []


def test_requests_are_limited(start_mail: StartMail) -> None:
    start_mail()
    statuses = [_forget(f"name{n}")[0] for n in range(12)]
    assert statuses == [200] * 10 + [429] * 2


def test_forgot_password_page_requires_a_mail_server(
    start_mail: StartMail, configure_mail: Configure
) -> None:
    configure_mail(smtp_host=None)
    assert _forget("mia")[0] == 404
    assert "/forgot-password" not in Client().get("/login").content.decode()
    start_mail()
    assert "/forgot-password" in Client().get("/login").content.decode()


def test_links_use_the_configured_site_regardless_of_the_host_header(
    start_mail: StartMail, mia: User, settings: Any
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    server = start_mail(origins=("https://*.example.org", "https://cairn.example.org"))
    assert _forget("mia", Host="evil.example:8080")[0] == 200
    assert "https://cairn.example.org/set-password#" in server.messages[0].get_content()


@pytest.mark.parametrize("origins", [(), ("https://*.example.org",)])
def test_forgot_password_page_requires_a_configured_site(
    start_mail: StartMail, mia: User, origins: tuple[str, ...]
) -> None:
    server = start_mail(origins=origins)
    assert _forget("mia")[0] == 404
    assert "/forgot-password" not in Client().get("/login").content.decode()
    assert server.messages == []


def test_mail_failure_is_shown_and_the_typed_address_not_logged(
    start_mail: StartMail, mia: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start_mail()

    def fail(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(app, "send_task", fail)
    status, html = _forget("mia@example.org")
    assert status == 503
    assert "can’t send messages at the moment" in html
    assert "is on its way" not in html
    assert "cannot send web.request_password_resets" in caplog.text
    assert "mia@" not in caplog.text


def _make_old() -> None:
    """Move the messages into the past, so that another may be sent."""
    PasswordMail.objects.update(created_at=timezone.now() - timedelta(minutes=10))


def test_person_gets_at_most_five_messages_a_day(start_mail: StartMail, mia: User) -> None:
    server = start_mail()
    for _ in range(7):
        _forget("mia")
        _make_old()
    assert len(server.messages) == 5


def test_password_request_reaches_at_most_ten_accounts(start_mail: StartMail, mia: User) -> None:
    server = start_mail()
    for number in range(12):
        User.objects.create_user(f"twin{number}", "some password", email="mia@example.org")
    _forget("mia@example.org")
    assert PasswordMail.objects.count() == len(server.messages) == 10


def test_waiting_message_of_an_admin_is_preserved(start_mail: StartMail, admin: Caller, mia: User) -> None:
    start_mail(behaviour=BREAKS)
    admin.post(f"/users/{mia.pk}/password-mail", {"days": 7})
    _make_old()
    _forget("mia")
    assert PasswordMail.objects.get().days == 7


def test_invited_person_gets_a_new_link_after_expiry(start_mail: StartMail, admin: Caller, mia: User) -> None:
    server = start_mail()
    User.objects.filter(pk=mia.pk).update(password="!")
    url = admin.post(f"/users/{mia.pk}/password-link", {}).json()["url"]
    _forget("mia")
    assert server.messages == []  # the admin's link still works
    PasswordLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    _forget("mia")
    _make_old()
    _forget("mia")  # the first message was lost
    assert len(server.messages) == 2
    [token] = LINK.findall(server.messages[1].get_content())
    assert not _sets_password(url.partition("#")[2])
    assert _sets_password(token)


def test_people_from_a_directory_get_no_link(start_mail: StartMail, admin: Caller, mia: User) -> None:
    server = start_mail()
    User.objects.filter(pk=mia.pk).update(password="!")
    admin.post(f"/users/{mia.pk}/password-link", {})
    PasswordLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    Identity.objects.create(user=mia, source="scim", external_id="4711")
    _forget("mia")
    assert server.messages == []


def test_link_is_revoked_when_the_address_changes(start_mail: StartMail, admin: Caller, mia: User) -> None:
    server = start_mail()
    path = f"/users/{mia.pk}"
    admin.post(f"{path}/password-mail", {})
    PasswordMail.objects.update(error="550 no such mailbox mia@example.org")
    assert admin.patch(path, {"email": "mia@example.org", "display_name": "M"}).status_code == 200
    assert PasswordLink.objects.exists()
    assert admin.patch(path, {"email": "right@example.org"}).status_code == 200
    [token] = LINK.findall(server.messages[0].get_content())
    assert not _sets_password(token)
    assert PasswordMail.objects.get().error == ""


def test_link_is_revoked_when_an_import_changes_the_address(admin: Caller, mia: User) -> None:
    admin.post(f"/users/{mia.pk}/password-link", {})
    users_import([UserLine(2, "mia", email="mia@example.org")], actor=admin.user.pk)
    assert PasswordLink.objects.exists()
    users_import([UserLine(2, "mia", email="right@example.org")], actor=admin.user.pk)
    assert not PasswordLink.objects.exists()


def test_message_is_sent_to_the_corrected_address(
    start_mail: StartMail, admin: Caller, mia: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_mail()

    def claim(mail: PasswordMail) -> bool:
        assert admin.patch(f"/users/{mia.pk}", {"email": "right@example.org"}).status_code == 200
        return mail_claim(mail)

    monkeypatch.setattr(password_links, "mail_claim", claim)
    admin.post(f"/users/{mia.pk}/password-mail", {})
    assert [message["To"] for message in server.messages] == ["right@example.org"]


def test_message_is_resent_after_an_outage(start_mail: StartMail, admin: Caller, mia: User) -> None:
    start_mail(behaviour=BREAKS)
    admin.post(f"/users/{mia.pk}/password-mail", {})
    mail = PasswordMail.objects.get()
    assert (mail.sent_at, mail.attempts) == (None, 1)
    assert "451 out of disk space" in mail.error
    server = start_mail()
    assert password_mails_send() == 0  # not yet
    PasswordMail.objects.update(not_before=timezone.now() - timedelta(seconds=1))
    assert password_mails_send() == 1
    [token] = LINK.findall(server.messages[0].get_content())
    assert _sets_password(token)
    assert password_mails_send() == 0


def test_refused_address_is_not_retried(start_mail: StartMail, admin: Caller, mia: User) -> None:
    server = start_mail(refused=("mia@example.org",))
    admin.post(f"/users/{mia.pk}/password-mail", {})
    PasswordMail.objects.update(not_before=timezone.now() - timedelta(seconds=1))
    password_mails_send()
    assert server.connections == 1
    browser = Client()
    browser.force_login(admin.user)
    assert "550 no such mailbox" in browser.get(f"/admin/users/{mia.pk}").content.decode()


def test_hanging_server_ends_the_mail_run(
    start_mail: StartMail, mia: User, rob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SILENT_SECONDS", 0.3)
    server = start_mail(behaviour=HANGS)
    for user in (mia, rob.user):
        PasswordMail.objects.create(user=user, language="en", site="http://testserver", days=1)
    assert password_mails_send() == 0
    assert server.connections == 1


def test_deleted_user_leaves_no_mails_or_links(start_mail: StartMail, admin: Caller, mia: User) -> None:
    start_mail(behaviour=BREAKS)
    admin.post(f"/users/{mia.pk}/password-mail", {})
    assert admin.delete(f"/users/{mia.pk}").status_code == 204
    assert not PasswordMail.objects.exists()
    assert not PasswordLink.objects.exists()
