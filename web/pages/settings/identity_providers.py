"""Pages of further identity providers. The first one is a section of the settings."""

import re
import secrets
from typing import Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from pydantic import ValidationError

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.errors import InvalidInput
from cairn.settings.stored.models import StoredSection
from cairn.settings.stored.sections import SignIn
from web.configuration.connection_tests import ConnectionResult, run_test
from web.configuration.services import identity_provider_remove, section_change, section_with
from web.pages.settings.fields import FORMS, read_changes
from web.pages.settings.views import describe_error, read_form, read_version, render_settings
from web.pages.shell.decorators import fragment, page

FORM: Final = FORMS[SignIn.key]
NEW: Final = "new"
_KEY: Final = re.compile(r"[0-9a-f]{8}")


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@page
def provider(request: HttpRequest, principal: Principal, provider: str) -> HttpResponse:
    require_admin(principal)
    key = _stored_key(provider)
    if request.method != "POST":
        return render_settings(request, principal, FORM, key=key)
    typed = read_form(request.POST)
    stored_key = f"{SignIn.further}{secrets.token_hex(4)}" if provider == NEW else key
    try:
        section_change(
            section=SignIn,
            changes=read_changes(FORM, typed),
            version=read_version(typed),
            actor=principal.actor,
            key=stored_key,
        )
    except (InvalidInput, ValidationError) as error:
        return render_settings(request, principal, FORM, key=key, typed=typed, error=error)
    messages.success(request, gettext("Settings saved."))
    return redirect("pages:console-identity-provider", stored_key.removeprefix(SignIn.further))


@sensitive_post_parameters()
@require_POST
@fragment
def test(request: HttpRequest, principal: Principal, provider: str) -> HttpResponse:
    """Try the values in the form without saving them. The result says how it went; it is never an error."""
    require_admin(principal)
    key = _stored_key(provider)
    try:
        changes = read_changes(FORM, read_form(request.POST))
        found = run_test(section_with(SignIn, changes, key=key), actor=principal.actor)
    except (InvalidInput, ValidationError) as error:
        found = ConnectionResult(problem=describe_error(error, FORM))
    return render(request, "pages/console/_setting_test.html", {"found": found})


@require_POST
@page
def remove(request: HttpRequest, principal: Principal, provider: str) -> HttpResponse:
    require_admin(principal)
    key = _stored_key(provider)
    try:
        identity_provider_remove(
            key=key, version=read_version(read_form(request.POST)), actor=principal.actor
        )
    except InvalidInput as error:
        return render_settings(request, principal, FORM, key=key, error=error)
    messages.success(request, gettext("Provider removed."))
    return redirect("pages:console-settings-section", SignIn.key)


def _stored_key(provider: str) -> str:
    """Return the key of a stored provider, or of a new one, which nothing is stored under."""
    key = f"{SignIn.further}{provider}"
    if provider == NEW:
        return key
    if not _KEY.fullmatch(provider) or not StoredSection.objects.filter(pk=key).exists():
        raise Http404
    return key
