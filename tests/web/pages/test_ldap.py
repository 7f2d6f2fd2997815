"""People sign in with a directory: a real one, on this machine."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.services import grant_give
from cairn.access.source_access import AccessEntry, SourceAccess, SourceGroup, SourcePerson
from cairn.access.source_services import replace_source_people, set_source_access
from cairn.accounts.external_groups import groups_replace
from cairn.accounts.ldap.directory import Directory
from cairn.accounts.models import Identity, User
from cairn.accounts.services import group_create, user_create, user_update
from cairn.library.models import Document
from cairn.settings.ldap import LdapSettings
from tests.backends import free_port
from tests.bases import make_base
from tests.conftest import PASSWORD
from tests.directory import ADA_ID, GROUPS, PEOPLE, ROOT_DN, ROOT_PASSWORD, Slapd
from tests.principals import SETUP
from tests.web.pages.conftest import text_of

BACKENDS = ["django.contrib.auth.backends.ModelBackend", "cairn.accounts.ldap.backend.LdapBackend"]
ADAS = "ada's password"


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    server = Slapd()
    server.start()
    yield server
    server.close()


@pytest.fixture
def ldap(slapd: Slapd, settings: Any, db: None) -> LdapSettings:
    settings.AUTHENTICATION_BACKENDS = BACKENDS
    settings.LDAP = LdapSettings(
        host="localhost",
        port=slapd.port,
        tls=False,
        start_tls=False,
        user_base=PEOPLE,
        group_base=GROUPS,
        bind_dn=ROOT_DN,
        bind_password=ROOT_PASSWORD,
    )
    return settings.LDAP


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a server that accepts connections but never responds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def sign_in(username: str, password: str) -> Any:
    return Client().post("/login", {"username": username, "password": password})


def let_in(username: str, password: str) -> bool:
    return bool(sign_in(username, password).status_code == 302)


def memberships(user: User) -> set[tuple[str, str]]:
    return set(user.member_of.values_list("source", "name"))


def test_directory_user_signs_in_and_joins_groups(ldap: LdapSettings) -> None:
    ours = group_create(name="Finance")
    client = Client()
    assert client.post("/login", {"username": "ADA", "password": ADAS}).status_code == 302
    assert client.get("/api/v1/me").json()["username"] == "ada"
    user = User.objects.get()
    assert (user.identities.get().source, user.identities.get().external_id) == ("ldap", ADA_ID)
    assert not user.is_admin
    assert not user.has_usable_password()
    assert (user.label, user.email) == ("Ada Lovelace (ada)", "ada@example.org")
    assert memberships(user) == {("ldap", "Finance"), ("ldap", "Board")}
    assert not ours.members.exists()
    assert let_in("ada", ADAS)
    assert User.objects.count() == 1


def test_source_documents_are_readable_at_the_first_sign_in(
    ldap: LdapSettings, make_user: Callable[..., User]
) -> None:
    base = make_base(name="Files", principal=principal_for_user(make_user("mia")))
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    allowed, denied = (
        Document.objects.create(knowledge_base=base, source_key=name, title=name) for name in ("Plan", "Pay")
    )
    source = uuid4()
    person, group = SourcePerson("S-1", "Ada", directory_id=ADA_ID), SourceGroup("S-2", "Board", ("S-1",))
    replace_source_people(source, [person, group], directory="ldap", match_email=False)
    access = {
        allowed.pk: SourceAccess(((AccessEntry("S-2"),),)),
        denied.pk: SourceAccess(((AccessEntry("S-3"),),)),
    }
    set_source_access(source, access)
    client = Client()
    assert client.post("/login", {"username": "ada", "password": ADAS}).status_code == 302
    assert [client.get(f"/api/v1/documents/{each.pk}").status_code for each in (allowed, denied)] == [
        200,
        404,
    ]


def test_empty_profile_fields_are_filled_from_the_directory(ldap: LdapSettings) -> None:
    let_in("ada", ADAS)
    User.objects.update(display_name="", email="other@example.org")
    let_in("ada", ADAS)
    user = User.objects.get()
    assert (user.display_name, user.email) == ("Ada Lovelace", "other@example.org")


def test_memberships_are_replaced_at_each_sign_in(ldap: LdapSettings) -> None:
    let_in("ada", ADAS)
    user = User.objects.get()
    ours = group_create(name="Here", members=[user.id])
    groups_replace(user, source="ldap", names=["Gone"])
    assert let_in("ada", ADAS)
    assert memberships(user) == {("", ours.name), ("ldap", "Finance"), ("ldap", "Board")}


def test_ldap_filter_characters_in_names_are_escaped(ldap: LdapSettings) -> None:
    assert let_in("eve", "eve's password")
    assert memberships(User.objects.get()) == {("ldap", "Finance")}


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("ada", "wrong"),
        ("ada", ""),
        ("ada", "\u00ad"),
        ("ada", f"{ADAS}\x01"),
        ("ada", "eve's password"),
        ("nobody", ADAS),
        ("*", ADAS),
        ("a*", ADAS),
        ("*)(uid=*", ADAS),
        ("ada)(cn=*", ADAS),
        ("ada)(|(uid=*", ADAS),
        (r"\61da", ADAS),
        ("{username}", ADAS),
        ("{dn}", ADAS),
        (f"uid=ada,{PEOPLE}", ADAS),
    ],
)
def test_invalid_credentials_are_rejected(ldap: LdapSettings, username: str, password: str) -> None:
    response = sign_in(username, password)
    assert response.status_code == 200
    assert "isn’t responding" not in text_of(response)
    assert not User.objects.exists()


def test_empty_password_is_never_sent_to_the_directory(ldap: LdapSettings) -> None:
    """The directory would take it for an anonymous bind, and succeed."""
    assert Directory(ldap).find("ada", "") is None
    assert Directory(ldap).find("ada", ADAS) is not None


def test_ambiguous_directory_name_is_rejected(ldap: LdapSettings, settings: Any) -> None:
    assert let_in("twin", "twin's password")
    settings.LDAP = replace(ldap, user_base="dc=example,dc=org")
    assert not let_in("twin", "twin's password")


def test_local_account_is_not_taken_over(ldap: LdapSettings, settings: Any) -> None:
    admin = user_create(username="Ada", password=PASSWORD, is_admin=True)
    assert not let_in("ada", ADAS)
    assert let_in("ada", PASSWORD)
    settings.LDAP = replace(ldap, user_filter="(|(uid={username})(cn={username}))", user_name="uid")
    user_update(admin, username="eve")
    assert not let_in("Eve (,*)", "eve's password")
    assert User.objects.count() == 1
    assert not Identity.objects.exists()


def test_local_passwords_are_not_sent_to_the_directory(ldap: LdapSettings, settings: Any) -> None:
    user_create(username="rob", password=PASSWORD)
    settings.LDAP = replace(ldap, port=free_port())
    assert "isn’t responding" not in text_of(sign_in("rob", "mistyped"))


def test_renamed_directory_user_has_the_same_account(ldap: LdapSettings) -> None:
    user_create(username="root", is_admin=True)
    user = user_create(username="lovelace")
    Identity.objects.create(user=user, source="ldap", external_id=ADA_ID)
    assert let_in("ada", ADAS)
    user.refresh_from_db()
    assert user.username == "ada"
    assert User.objects.count() == 2


def test_disabled_directory_user_cannot_sign_in(ldap: LdapSettings) -> None:
    let_in("ada", ADAS)
    user_create(username="root", is_admin=True)
    user_update(User.objects.get(username="ada"), is_active=False)
    assert sign_in("ada", ADAS).status_code == 200


def test_unreachable_directory_shows_a_message_and_local_accounts_work(
    ldap: LdapSettings, settings: Any
) -> None:
    user_create(username="rob", password=PASSWORD)
    settings.LDAP = replace(ldap, port=free_port())
    response = sign_in("ada", ADAS)
    assert response.status_code == 200
    assert "The directory isn’t responding" in text_of(response)
    assert let_in("rob", PASSWORD)


def test_wrong_bind_password_prevents_directory_sign_in(ldap: LdapSettings, settings: Any) -> None:
    settings.LDAP = replace(ldap, bind_password="wrong")
    assert "The directory isn’t responding" in text_of(sign_in("ada", ADAS))


@pytest.mark.slow
def test_silent_directory_times_out(ldap: LdapSettings, settings: Any, mute: int) -> None:
    settings.LDAP = replace(ldap, port=mute)
    began = time.monotonic()
    assert "The directory isn’t responding" in text_of(sign_in("ada", ADAS))
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("way", ["tls", "start_tls"])
def test_ldap_connection_is_encrypted_and_its_certificate_checked(
    ldap: LdapSettings, settings: Any, slapd: Slapd, way: str
) -> None:
    secured = {
        "tls": replace(ldap, tls=True, port=slapd.tls_port),
        "start_tls": replace(ldap, start_tls=True),
    }[way]
    settings.LDAP = replace(secured, ca_file=slapd.ca_file)
    assert let_in("ada", ADAS)
    settings.LDAP = secured
    assert "The directory isn’t responding" in text_of(sign_in("ada", ADAS))
    settings.LDAP = replace(secured, ca_file=slapd.ca_file, host="127.0.0.1")
    assert "The directory isn’t responding" in text_of(sign_in("ada", ADAS))


def test_directory_user_with_a_lookalike_name_gets_a_distinguishable_one(ldap: LdapSettings) -> None:
    """The account here is written in Cyrillic letters."""
    user_create(username="аԁа")  # noqa: RUF001
    assert let_in("ada", ADAS)
    assert let_in("ada", ADAS)
    user = User.objects.get(identities__source="ldap")
    assert user.username == "ada.ldap"
