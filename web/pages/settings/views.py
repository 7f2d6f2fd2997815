"""Settings that admins change while Cairn runs, one page for each section."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from pydantic import ValidationError

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.accounts.models import SignInFailure, User
from cairn.errors import InvalidInput
from cairn.inference.reranking import reranker_name
from cairn.settings.stored.models import Logo, StoredSection
from cairn.settings.stored.sections import Branding, LanguageModel, SignIn
from cairn.settings.stored.store import decode, effective_environment
from retrieval.index.generations import active_generation
from web.configuration.connection_tests import ConnectionResult, run_test
from web.configuration.services import logo_remove, logo_set, section_change, section_with
from web.i18n.localize import localize
from web.identity.configured_providers import identity_providers
from web.model_tests.gate import WORSE_CODE
from web.pages.settings.fields import FORMS, SectionForm, list_fields, read_changes
from web.pages.shell.decorators import fragment, page, show

LONGEST_VALUE = 10_000
LONGEST_REASON = 500
REASON = "override_reason"


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    return render_settings(request, principal, FORMS[Branding.key])


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@page
def section(request: HttpRequest, principal: Principal, section: str) -> HttpResponse:
    require_admin(principal)
    form = _form(section)
    if request.method != "POST":
        return render_settings(request, principal, form)
    typed = read_form(request.POST)
    try:
        section_change(
            section=form.section,
            changes=read_changes(form, typed),
            version=read_version(typed),
            actor=principal.actor,
            override_reason=typed.get(REASON, "")[:LONGEST_REASON],
        )
    except (InvalidInput, ValidationError) as error:
        return render_settings(request, principal, form, typed=typed, error=error)
    messages.success(request, gettext("Settings saved."))
    return redirect("pages:console-settings-section", section=section)


@sensitive_post_parameters()
@require_POST
@fragment
def test(request: HttpRequest, principal: Principal, section: str) -> HttpResponse:
    """Try the values in the form without saving them. The result says how it went; it is never an error."""
    require_admin(principal)
    form = _form(section)
    if not form.can_test:
        raise Http404
    try:
        changes = read_changes(form, read_form(request.POST))
        found = run_test(section_with(form.section, changes), actor=principal.actor)
    except (InvalidInput, ValidationError) as error:
        found = ConnectionResult(problem=describe_error(error, form))
    return render(request, "pages/console/_setting_test.html", {"found": found})


@require_POST
@page
def logo(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Replace the logo, or remove it if no file is sent."""
    require_admin(principal)
    file = request.FILES.get("logo")
    try:
        if file is not None:
            logo_set(file=file, actor=principal.actor)
        elif request.POST.get("remove"):
            logo_remove(actor=principal.actor)
        else:
            raise InvalidInput(gettext("Choose a file."))
    except InvalidInput as error:
        return render_settings(request, principal, FORMS[Branding.key], error=error)
    messages.success(request, gettext("Settings saved."))
    return redirect("pages:console-settings-section", section=Branding.key)


def _form(key: str) -> SectionForm:
    if (form := FORMS.get(key)) is None:
        raise Http404
    return form


def render_settings(
    request: HttpRequest,
    principal: Principal,
    form: SectionForm,
    *,
    key: str = "",
    typed: Mapping[str, str] | None = None,
    error: InvalidInput | ValidationError | None = None,
) -> HttpResponse:
    """Render the form of a section. `key`: that of a further identity provider."""
    row = StoredSection.objects.select_related("changed_by").filter(pk=key or form.section.key).first()
    values = decode(form.section, row.values if row else {})
    entered = typed or {}
    context: dict[str, Any] = {
        "tab": "settings",
        "forms": FORMS.values(),
        "form": form,
        "fields": list_fields(form, values, entered),
        "version": entered.get("version", row.version if row else 0),
        "row": row,
        "error": describe_error(error, form) if error else "",
        "needs_reason": getattr(error, "code", "") == WORSE_CODE or bool(entered.get(REASON)),
        "reason": entered.get(REASON, ""),
        **(_list_models() if form.section is LanguageModel else {}),
        **(_describe_provider(request, values) if isinstance(values, SignIn) else {}),
        **(_list_failures() if form.section is SignIn and not key else {}),
        **list_addresses(form, key),
        "has_logo": form.section is Branding and Logo.objects.exists(),
    }
    status = error.status if isinstance(error, InvalidInput) else HTTPStatus.UNPROCESSABLE_ENTITY
    return show(
        request,
        principal,
        "pages/console/settings.html",
        context,
        area="console",
        status=status if error else HTTPStatus.OK,
    )


def _describe_provider(request: HttpRequest, values: SignIn) -> dict[str, Any]:
    """Return the address to register at the provider, and how many people can no longer sign in with it
    once it is removed."""
    if (provider := values.provider) is None:
        return {}
    return {
        "redirect_address": request.build_absolute_uri(
            reverse("openid_connect_callback", args=[provider.id])
        ),
        "provider": provider.name,
        "provider_users": User.objects.active().filter(socialaccount__provider=provider.source).count(),
    }


def _list_failures() -> dict[str, Any]:
    """Return the last failed sign-ins of each provider, also of those that a file on the server names."""
    providers = {provider.source: provider.name for provider in identity_providers().all}
    rows = SignInFailure.objects.filter(source__in=providers)
    return {"failures": [(row.at, providers[row.source], row.cause) for row in rows]}


def list_addresses(form: SectionForm, key: str) -> dict[str, Any]:
    """Return the addresses of a form, and the further identity providers."""
    if not key:
        args = [form.section.key]
        return {
            "action": reverse("pages:console-settings-section", args=args),
            "test_action": reverse("pages:console-settings-test", args=args),
            "further": list_further_providers() if form.section is SignIn else None,
            "variable": SignIn.variable_of("server_url"),
        }
    args = [key.removeprefix(SignIn.further)]
    return {
        "further_key": args[0],
        "variable": SignIn.variable_of("server_url"),
        "action": reverse("pages:console-identity-provider", args=args),
        "test_action": reverse("pages:console-identity-provider-test", args=args),
    }


def list_further_providers() -> list[tuple[str, str, str]]:
    """Return key, name and address of each further identity provider, by name."""
    rows = StoredSection.objects.filter(section__startswith=SignIn.further)
    found = [(row.section.removeprefix(SignIn.further), decode(SignIn, row.values)) for row in rows]
    named = [(key, each.name or "", each.server_url or "") for key, each in found]
    return sorted(named, key=lambda each: (each[1].casefold(), each[0]))


def _list_models() -> dict[str, Any]:
    given, answering = effective_environment(), active_generation()
    return {
        "is_demonstration": given.has_packaged_chat_model,
        "embedding_model": answering.embedding_model,
        "reranker": reranker_name(given),
    }


def describe_error(error: InvalidInput | ValidationError, form: SectionForm) -> str:
    if isinstance(error, InvalidInput):
        return localize(error.message)
    names = [str(each["loc"][0]) for each in error.errors() if each["loc"]]
    labels = [str(form.inputs[name].label) for name in dict.fromkeys(names) if name in form.inputs]
    return gettext("Check the value of: {fields}").format(fields=", ".join(labels))


def read_form(form: QueryDict) -> dict[str, str]:
    return {name: str(value).replace("\0", "")[:LONGEST_VALUE] for name, value in form.items()}


def read_version(typed: Mapping[str, str]) -> int:
    text = typed.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
