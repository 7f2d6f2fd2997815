"""Admins change settings over REST, and everyone sees the effect."""

import io
import threading
import time
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from PIL import Image

from cairn.audit.models import Event
from cairn.settings import env
from cairn.settings.stored import store
from cairn.settings.stored.models import StoredSection
from cairn.settings.stored.store import REFRESH_SECONDS, effective_environment, forget_snapshot
from tests.web.api.conftest import Caller, assert_problem

pytestmark = pytest.mark.django_db(transaction=True)


def change(caller: Caller, section: str, *, version: int = 0, **values: Any) -> Any:
    return caller.patch("/settings", {section: {"version": version, "values": values}})


def image(kind: str = "PNG", size: tuple[int, int] = (40, 20), **options: Any) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, "#336699").save(written, kind, **options)
    return written.getvalue()


def send_logo(caller: Caller, content: bytes, name: str = "logo.png", kind: str = "image/png") -> Any:
    headers = {"Authorization": f"Bearer {caller.key}"}
    file = SimpleUploadedFile(name, content, kind)
    return caller.client.post("/api/v1/settings/logo", {"file": file}, headers=headers)


def page(caller: Caller, path: str = "/login") -> str:
    return str(caller.client.get(path).content.decode())


def test_branding_is_shown_to_everyone_and_recorded(admin: Caller) -> None:
    values = {"name": "Acme & Co", "accent_color": "#7a1fa2", "sign_in_text": "Ask <b>us</b>."}
    answer = change(admin, "branding", **values)
    assert answer.status_code == 200, answer.content
    branding = answer.json()["branding"]
    assert (branding["version"], branding["values"]) == (1, values)
    html = page(admin)
    assert "<h1>Sign in to Acme &amp; Co</h1>" in html
    assert "<title>Sign in · Acme &amp; Co</title>" in html
    assert "Ask &lt;b&gt;us&lt;/b&gt;." in html
    css = page(admin, "/branding/colors.css")
    assert "--accent: light-dark(#7a1fa2, #" in css
    assert 'href="/branding/colors.css?' in html
    event = Event.objects.get(action="settings.changed")
    assert (event.actor, event.subject) == (admin.user.pk, "settings:branding")
    assert event.detail["before"] == dict.fromkeys(values)
    assert event.detail["after"] == values


def test_null_resets_only_its_setting(admin: Caller) -> None:
    change(admin, "branding", name="Acme", sign_in_text="Hello")
    answer = change(admin, "branding", version=1, name=None).json()["branding"]
    assert answer["values"] == {"name": None, "accent_color": None, "sign_in_text": "Hello"}
    assert "Sign in to Cairn" in page(admin)


@pytest.mark.parametrize("color", ["#ffff00", "#9ccc65", "#ffffff"])
def test_unreadable_accent_colour_is_rejected(admin: Caller, color: str) -> None:
    problem = assert_problem(change(admin, "branding", accent_color=color), 422, "invalid")
    assert "too light" in problem["detail"]
    assert not StoredSection.objects.exists()


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("branding", {"accent_color": "red;} body {display: none"}),
        ("branding", {"name": "x" * 41}),
        ("branding", {"name": "two\nlines"}),
        ("branding", {"favourite": "colour"}),
        ("general", {"default_language": "fr"}),
        ("general", {"conversation_retention_days": -1}),
    ],
)
def test_invalid_settings_are_rejected(admin: Caller, section: str, values: dict[str, Any]) -> None:
    assert_problem(change(admin, section, **values), 422, "invalid")
    assert not StoredSection.objects.exists()


def test_concurrent_settings_change_conflicts(admin: Caller) -> None:
    assert change(admin, "branding", name="First").status_code == 200
    problem = assert_problem(change(admin, "branding", name="Second"), 409, "conflict")
    assert "Someone else has changed these settings" in problem["detail"]
    assert admin.get("/settings").json()["branding"]["values"]["name"] == "First"
    assert change(admin, "branding", version=1, name="Second").status_code == 200


def test_simultaneous_settings_changes_succeed_once(admin: Caller) -> None:
    begin, statuses = threading.Barrier(4), list[int]()

    def save(number: int) -> None:
        caller = Caller(admin.user, admin.key)
        begin.wait()
        statuses.append(change(caller, "branding", name=f"Number {number}").status_code)
        connection.close()

    threads = [threading.Thread(target=save, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 409, 409, 409]
    assert Event.objects.filter(action="settings.changed").count() == 1


def test_settings_sections_change_atomically(admin: Caller) -> None:
    body = {
        "branding": {"version": 0, "values": {"name": "Acme"}},
        "general": {"version": 7, "values": {"default_language": "de"}},
    }
    assert_problem(admin.patch("/settings", body), 409, "conflict")
    assert not StoredSection.objects.exists()
    assert not Event.objects.filter(action="settings.changed").exists()


def test_default_language_applies_to_users_without_a_choice(admin: Caller) -> None:
    assert '<html lang="en"' in page(admin)
    assert change(admin, "general", default_language="de").status_code == 200
    assert '<html lang="de"' in page(admin)


def test_environment_variable_overrides_a_stored_setting(
    admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(admin, "general", default_language="de")
    given = env.Environment(default_language="en")
    for module in ("sections", "store"):
        monkeypatch.setattr(f"cairn.settings.stored.{module}.environment", lambda: given)
    forget_snapshot()
    general = admin.get("/settings").json()["general"]
    assert general["set_by_environment"] == {"default_language": "DEFAULT_LANGUAGE"}
    assert '<html lang="en"' in page(admin)
    problem = assert_problem(change(admin, "general", version=1, default_language=None), 409, "conflict")
    assert "environment variable" in problem["detail"]
    assert change(admin, "general", version=1, conversation_retention_days=30).status_code == 200


def test_settings_changes_reach_other_processes(admin: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Sign in to Cairn" in page(admin)
    forget_snapshot()
    page(admin)
    StoredSection.objects.create(section="branding", values={"name": "Elsewhere"})  # by another process
    assert "Sign in to Cairn" in page(admin)
    later = REFRESH_SECONDS + 0.1
    monkeypatch.setattr("cairn.settings.stored.store.time.monotonic", _ahead(later))
    assert "Sign in to Elsewhere" in page(admin)


def _ahead(seconds: float) -> Any:
    real = time.monotonic
    return lambda: real() + seconds


def test_unknown_settings_of_another_cairn_version_are_ignored(admin: Caller) -> None:
    values = {"name": 7, "font": "Comic Sans", "sign_in_text": "Welcome back"}
    StoredSection.objects.create(section="branding", values=values)
    StoredSection.objects.create(section="of_the_future", values={"name": "x"})
    forget_snapshot()
    assert "Sign in to Cairn" in page(admin)
    found = admin.get("/settings").json()["branding"]["values"]
    assert (found["name"], found["sign_in_text"]) == (None, "Welcome back")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_logo_is_re_encoded_and_shown(admin: Caller, kind: str) -> None:
    trailer = b"<script>alert(1)</script>"
    assert send_logo(admin, image(kind, (2000, 1000)) + trailer).status_code == 204
    html = page(admin)
    assert '<img class="mark" src="/branding/logo.png?' in html
    response = admin.client.get("/branding/logo.png")
    assert response["Content-Type"] == "image/png"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert trailer not in response.content
    assert Image.open(io.BytesIO(response.content)).size == (512, 256)
    assert admin.get("/settings").json()["logo"] is True
    assert admin.delete("/settings/logo").status_code == 204
    assert admin.client.get("/branding/logo.png").status_code == 404
    assert_problem(admin.delete("/settings/logo"), 404, "not_found")
    assert [event.subject for event in Event.objects.filter(action="settings.changed")] == [
        "settings:logo"
    ] * 2


@pytest.mark.parametrize(
    "content",
    [
        b"<!doctype html><script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"\x89PNG\r\n\x1a\n<html><script>alert(1)</script>",
        b"GIF89a",
        b"",
        image()[:60],
        image("GIF"),
        image("BMP"),
    ],
    ids=["html", "svg", "html-like-png", "gif-header", "empty", "cut", "gif", "bmp"],
)
def test_logo_in_another_format_is_rejected(admin: Caller, content: bytes) -> None:
    problem = assert_problem(send_logo(admin, content), 422, "invalid")
    assert "PNG, JPEG or WebP" in problem["detail"]
    assert admin.client.get("/branding/logo.png").status_code == 404


def test_too_large_logo_is_rejected(admin: Caller) -> None:
    assert_problem(send_logo(admin, image() + bytes(3 << 20)), 413, "too_large")
    assert "4096" in assert_problem(send_logo(admin, image(size=(30_000, 5))), 422, "invalid")["detail"]


def test_only_admins_read_and_change_settings(mia: Caller) -> None:
    for response in (mia.get("/settings"), change(mia, "branding", name="Mine"), send_logo(mia, image())):
        assert_problem(response, 403, "forbidden")
    assert not StoredSection.objects.exists()


async def test_event_loop_does_not_wait_for_stored_settings(admin: Caller) -> None:
    await sync_to_async(StoredSection.objects.create)(section="general", values={"default_language": "de"})
    forget_snapshot()
    assert effective_environment().default_language == "en"
    await sync_to_async(wait_for_german)()


async def test_event_loop_caches_settings(admin: Caller) -> None:
    await sync_to_async(change)(admin, "general", default_language="de")
    assert (await sync_to_async(effective_environment)()).default_language == "de"
    forget_snapshot()
    assert effective_environment().default_language == "de"


def wait_for_german() -> None:
    """Look without reading: only the thread started by the event loop does."""
    until = time.monotonic() + 30
    while (store._current or store.Snapshot(0)).environment is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert effective_environment().default_language == "de"
