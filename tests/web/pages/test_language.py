"""The language of pages, and the correctness of translations."""

import gettext
import io
import re
import zipfile
from collections.abc import Callable

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from django.test import Client
from django.utils import translation

from cairn.accounts.models import User
from cairn.accounts.services import api_key_create
from cairn.audit.models import Event
from cairn.settings import environment
from tests import translations
from tests.conftest import PASSWORD
from web.exports.subject_export import subject_export
from web.i18n import languages

GERMAN = {"HTTP_ACCEPT_LANGUAGE": "de-AT,de;q=0.9,en;q=0.5"}


def language_of(html: bytes) -> str:
    found = re.search(rb'<html lang="(\w+)" dir="ltr">', html)
    assert found
    return found[1].decode()


def seen(client: Client, path: str = "/login", **headers: str) -> str:
    response = client.get(path, **headers)  # type: ignore[arg-type] # headers of WSGI
    assert response["Content-Language"] == language_of(response.content)
    return language_of(response.content)


def test_accept_language_header_selects_the_language(client: Client, db: None) -> None:
    assert seen(client) == "en"
    assert seen(client, **GERMAN) == "de"
    assert seen(client, HTTP_ACCEPT_LANGUAGE="fr, de;q=0.5, en;q=0.1") == "de"
    assert seen(client, HTTP_ACCEPT_LANGUAGE="fr-FR, *") == "en"
    assert seen(client, HTTP_ACCEPT_LANGUAGE=";;q=,\0") == "en"


def test_default_language_applies_without_a_header(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    german = environment().model_copy(update={"default_language": "de"})
    monkeypatch.setattr(languages, "effective_environment", lambda: german)
    assert seen(client) == "de"
    assert seen(client, HTTP_ACCEPT_LANGUAGE="fr") == "de"
    assert seen(client, HTTP_ACCEPT_LANGUAGE="en") == "en"


def test_language_chosen_before_sign_in_is_stored_in_the_browser(client: Client, db: None) -> None:
    response = client.post("/language", {"language": "de", "next": "/login?next=/library"})
    assert response["Location"] == "/login?next=/library"
    cookie = response.cookies[settings.LANGUAGE_COOKIE_NAME]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert seen(client) == "de"
    client.post("/language", {"language": "en"})
    assert seen(client, **GERMAN) == "en"


@pytest.mark.parametrize("code", ["fr", "", "../de", "d\0e", "x" * 5000])
def test_unknown_languages_cannot_be_chosen(client: Client, db: None, code: str) -> None:
    assert client.post("/language", {"language": code}).status_code == 302
    assert seen(client) == "en"


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_language_choice_does_not_redirect_to_other_sites(client: Client, db: None, to: str) -> None:
    assert client.post("/language", {"language": "de", "next": to})["Location"] == "/login"


def test_language_choice_is_saved_with_the_account(signed_in: Callable[[User], Client], rob: User) -> None:
    client = signed_in(rob)
    assert seen(client, "/account") == "en"
    assert client.post("/account/language", {"language": "de"})["Location"] == "/account"
    elsewhere = signed_in(rob)
    elsewhere.post("/language", {"language": "en"})
    assert seen(elsewhere, "/account", HTTP_ACCEPT_LANGUAGE="en") == "de"
    client.post("/account/language", {"language": ""})
    assert seen(client, "/account") == "en"
    assert Event.objects.filter(action="user.changed", detail__fields=["language"]).count() == 2


def test_user_export_contains_the_language(signed_in: Callable[[User], Client], rob: User) -> None:
    signed_in(rob).post("/account/language", {"language": "de"})
    rob.refresh_from_db()
    assert b'"language": "de"' in _unzipped(b"".join(subject_export(rob)))


def _unzipped(content: bytes) -> bytes:
    return zipfile.ZipFile(io.BytesIO(content)).read("profile.jsonl")


def test_programs_are_answered_in_english(signed_in: Callable[[User], Client], rob: User) -> None:
    client = signed_in(rob)
    client.post("/account/language", {"language": "de"})
    _, key = api_key_create(user=rob, label="program")
    headers = {"Accept-Language": "de", "Authorization": f"Bearer {key}"}
    response = client.get("/api/v1/documents/none", headers=headers)
    assert response.json()["title"] == "Not found, or you don’t have access"
    assert "Content-Language" not in response


def test_api_responses_for_scripts_use_the_language_of_the_page(
    signed_in: Callable[[User], Client], admin: User
) -> None:
    client = signed_in(admin)
    client.post("/account/language", {"language": "de"})
    first, again = (
        client.post("/api/v1/users", {"username": name, "password": PASSWORD}, "application/json")
        for name in ("ROBü", "robü")
    )
    assert first.status_code == 201
    assert again.json()["detail"] == "Es gibt schon ein Konto namens „robü“."
    assert again.json()["code"] == "conflict"


def test_translated_pages_load_a_script_catalog(client: Client, db: None) -> None:
    assert b"locale/" not in client.get("/login").content
    assert b'<script src="/static/locale/de.js" defer>' in client.get("/login", **GERMAN).content  # type: ignore[arg-type]


def test_right_to_left_languages_set_the_direction(client: Client, db: None) -> None:
    with translation.override("ar"):
        assert '<html lang="ar" dir="rtl">' in render_to_string("500.html")


@pytest.mark.parametrize("language", translations.LANGUAGES)
def test_compiled_translations_match_their_sources(language: str) -> None:
    """Else: `make texts`."""
    for path, content in translations.compiled(language).items():
        if path.suffix == ".mo":
            assert _loaded(path.read_bytes()) == _loaded(content)
        else:
            assert path.read_bytes() == content


def _loaded(content: bytes) -> dict[object, str]:
    found = dict(gettext.GNUTranslations(io.BytesIO(content))._catalog)  # type: ignore[attr-defined]
    del found[""]
    return found


def test_translations_have_the_placeholders_of_their_texts() -> None:
    catalog = translations.read("de")
    for message in translations.messages(catalog):
        if translations.is_translated(message):
            assert not [str(error) for error in message.check(catalog)], message.id
            assert _blanks(message.string) == _blanks(message.id), message.id


def _blanks(text: object) -> set[str]:
    whole = " ".join(text) if isinstance(text, tuple | list) else str(text)
    return set(re.findall(r"%\(\w+\)[sd]|(?<![{%])\{\w*\}(?!\})", whole))


@pytest.mark.parametrize("language", translations.LANGUAGES)
def test_every_text_is_translated(language: str) -> None:
    """If it fails: run `make texts`, and translate what it lists in web/locale."""
    catalog = translations.collected(language)
    missing = [m.id for m in translations.messages(catalog) if not translations.is_translated(m)]
    assert missing == []
    assert translations.as_po(catalog) == translations.po_path(language).read_bytes()
