"""Admins change settings on pages of the console."""

import io
import re
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from cairn.accounts.models import User
from cairn.settings import env
from cairn.settings.stored.models import Logo, StoredSection
from cairn.settings.stored.store import forget_snapshot
from tests.web.pages.conftest import text_of

pytestmark = pytest.mark.django_db(transaction=True)
SignIn = Callable[[User], Client]
BRANDING, GENERAL, LOGO = "/admin/settings/branding", "/admin/settings/general", "/admin/settings/logo"


def png() -> SimpleUploadedFile:
    written = io.BytesIO()
    Image.new("RGB", (40, 20), "#336699").save(written, "PNG")
    return SimpleUploadedFile("logo.png", written.getvalue(), "image/png")


def test_only_admins_reach_the_pages(signed_in: SignIn, rob: User) -> None:
    client = signed_in(rob)
    for path in ("/admin/settings", BRANDING, GENERAL):
        assert client.get(path).status_code == 403
    assert client.post(BRANDING, {"version": "0", "name": "Mine"}).status_code == 403
    assert client.post(LOGO, {"logo": png()}).status_code == 403
    assert not StoredSection.objects.exists()


def test_saved_branding_is_shown_on_every_page(signed_in: SignIn, admin: User) -> None:
    client = signed_in(admin)
    assert '<h2 id="settings-title">Branding</h2>' in text_of(client.get("/admin/settings"))
    sent = {"version": "0", "name": " Acme ", "accent_color": "#7A1FA2", "sign_in_text": ""}
    html = text_of(client.post(BRANDING, sent, follow=True))
    assert "Settings saved." in html
    assert re.search(r"Last changed on .+ by ada\.", html)
    assert 'value="Acme"' in html
    assert "<title>Branding · Settings · Acme</title>" in html
    assert '<span class="truncate">Acme</span>' in html
    assert StoredSection.objects.get().values == {"name": "Acme", "accent_color": "#7a1fa2"}


def test_rejected_settings_form_preserves_its_input(signed_in: SignIn, admin: User) -> None:
    client = signed_in(admin)
    answer = client.post(BRANDING, {"version": "0", "name": "Acme", "accent_color": "#ffff00"})
    assert answer.status_code == 422
    html = text_of(answer)
    assert "This accent colour is too light to read." in html
    assert 'value="Acme"' in html
    assert 'value="#ffff00"' in html
    answer = client.post(GENERAL, {"version": "0", "conversation_retention_days": "never"})
    assert answer.status_code == 422
    assert "Check the value of: Keep conversations for (days)" in text_of(answer)
    assert not StoredSection.objects.exists()


@pytest.mark.parametrize("version", ["0", "", "x", "²", "-1", "9" * 30])
def test_concurrent_settings_form_conflicts_and_preserves_its_input(
    signed_in: SignIn, admin: User, version: str
) -> None:
    client = signed_in(admin)
    client.post(BRANDING, {"version": "0", "name": "First"})
    answer = client.post(BRANDING, {"version": version, "name": "Second"})
    assert answer.status_code == 409
    assert "Someone else has changed these settings." in text_of(answer)
    assert 'value="Second"' in text_of(answer)
    assert StoredSection.objects.get().values == {"name": "First"}


def test_settings_from_variables_are_read_only(
    signed_in: SignIn, admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = env.Environment(default_language="en")
    for module in ("sections", "store"):
        monkeypatch.setattr(f"cairn.settings.stored.{module}.environment", lambda: given)
    monkeypatch.setattr("web.pages.settings.fields.environment", lambda: given)
    forget_snapshot()
    client = signed_in(admin)
    html = text_of(client.get(GENERAL))
    assert "Set by the environment variable DEFAULT_LANGUAGE." in html
    field = re.search(r'<select[^>]*name="default_language"[^>]*>', html)
    assert field
    assert " disabled" in field[0]
    answer = client.post(GENERAL, {"version": "0", "default_language": "de"})
    assert answer.status_code == 409
    client.post(GENERAL, {"version": "0", "conversation_retention_days": "30"})
    assert StoredSection.objects.get().values == {"conversation_retention_days": 30}


def test_logo_is_uploaded_and_removed(signed_in: SignIn, admin: User) -> None:
    client = signed_in(admin)
    assert client.post(LOGO, {}).status_code == 422
    html = text_of(client.post(LOGO, {"logo": png()}, follow=True))
    assert 'alt="Current logo"' in html
    answer = client.post(LOGO, {"logo": SimpleUploadedFile("logo.png", b"<html></html>", "image/png")})
    assert answer.status_code == 422
    assert "isn’t a PNG, JPEG or WebP image" in text_of(answer)
    assert Logo.objects.exists()
    assert "Current logo" not in text_of(client.post(LOGO, {"remove": "1"}, follow=True))
    assert not Logo.objects.exists()


def test_unknown_settings_sections_are_not_found(signed_in: SignIn, admin: User) -> None:
    for name in ("secrets", "Branding", "..%2f"):
        assert signed_in(admin).get(f"/admin/settings/{name}").status_code == 404
