"""Form fields of stored settings: how each one is labelled, shown and read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cairn.settings import environment
from cairn.settings.stored.sections import Branding, General, LanguageModel, Mail, Section, SignIn

Text = str | Promise
REMOVE: Final = "remove_"
"""Prefix of the box that removes a stored secret."""


@dataclass(frozen=True, slots=True)
class Input:
    """`kind`: line, text, number, color, choice or secret. `attributes`: those of its HTML element."""

    label: Text
    hint: Text = ""
    kind: str = "line"
    choices: Sequence[tuple[str, Text]] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Field:
    """`variable`: the environment variable that takes precedence. `fallback`: what applies if empty.
    `is_stored`: whether there is a secret."""

    name: str
    input: Input
    value: str
    variable: str = ""
    fallback: str = ""
    is_stored: bool = False


@dataclass(frozen=True, slots=True)
class SectionForm:
    section: type[Section]
    title: Text
    intro: Text
    inputs: Mapping[str, Input]
    can_test: bool = False


FORMS: Final[Mapping[str, SectionForm]] = {
    form.section.key: form
    for form in (
        SectionForm(
            Branding,
            _("Branding"),
            _("What people see as the name, logo and colours of this installation."),
            {
                "name": Input(_("Name"), _("Shown instead of “Cairn”."), attributes={"maxlength": "40"}),
                "accent_color": Input(
                    _("Accent colour"),
                    _(
                        "For links and buttons, such as #1d6252. It must be dark enough to read on white; "
                        "the dark scheme gets a lighter shade."
                    ),
                    attributes={"maxlength": "7", "placeholder": "#1d6252"},
                ),
                "sign_in_text": Input(
                    _("Text on the sign-in page"), kind="text", attributes={"maxlength": "500"}
                ),
            },
        ),
        SectionForm(
            LanguageModel,
            _("Language model"),
            _("The server that writes answers: vLLM, Ollama or any other with an OpenAI-compatible API."),
            {
                "base_url": Input(
                    _("Address"),
                    _("Such as https://llm.example.org/v1. Leave empty to use the model on this server."),
                    attributes={"maxlength": "500", "inputmode": "url", "spellcheck": "false"},
                ),
                "api_key": Input(_("Key"), kind="secret", attributes={"maxlength": "1000"}),
                "model": Input(
                    _("Model"),
                    _("The name under which the server serves it."),
                    attributes={"maxlength": "200", "spellcheck": "false"},
                ),
                "context_tokens": Input(
                    _("Context window (tokens)"), kind="number", attributes={"min": "512", "max": "10000000"}
                ),
                "system_role": Input(
                    _("System role"),
                    _("Whether the chat template of the model supports instructions in a system role."),
                    kind="choice",
                    choices=(("true", _("Yes")), ("false", _("No"))),
                ),
            },
            can_test=True,
        ),
        SectionForm(
            SignIn,
            _("Sign-in"),
            _("An OpenID Connect provider, such as Keycloak, Entra ID or Google, with which people sign in."),
            {
                "name": Input(
                    _("Name of the provider"),
                    _("Shown on the sign-in page: “Sign in with …”."),
                    attributes={"maxlength": "60"},
                ),
                "server_url": Input(
                    _("Address"),
                    _("The issuer, such as https://login.example.org/realms/staff."),
                    attributes={"maxlength": "500", "inputmode": "url", "spellcheck": "false"},
                ),
                "client_id": Input(_("Client id"), attributes={"maxlength": "255", "spellcheck": "false"}),
                "client_secret": Input(_("Client secret"), kind="secret", attributes={"maxlength": "1000"}),
                "admin_group": Input(
                    _("Group of admins"),
                    _("Members of this group at the provider are admins here. Leave empty if none are."),
                    attributes={"maxlength": "255"},
                ),
            },
            can_test=True,
        ),
        SectionForm(
            Mail,
            _("Mail"),
            _("The server that sends invitations and password resets."),
            {
                "host": Input(
                    _("Server"),
                    _("Such as smtp.example.org."),
                    attributes={"maxlength": "255", "spellcheck": "false"},
                ),
                "port": Input(
                    _("Port"),
                    _("If empty: 587 with StartTLS, 465 with TLS, 25 without."),
                    kind="number",
                    attributes={"min": "1", "max": "65535"},
                ),
                "security": Input(
                    _("Encryption"),
                    kind="choice",
                    choices=(("starttls", "StartTLS"), ("tls", "TLS"), ("none", _("None"))),
                ),
                "user": Input(_("User name"), attributes={"maxlength": "255", "spellcheck": "false"}),
                "password": Input(_("Password"), kind="secret", attributes={"maxlength": "1000"}),
                "sender": Input(
                    _("Sender"), _("Such as Cairn <cairn@example.org>."), attributes={"maxlength": "320"}
                ),
            },
            can_test=True,
        ),
        SectionForm(
            General,
            _("Language and retention"),
            _("Defaults for everyone."),
            {
                "default_language": Input(
                    _("Language"),
                    _("For people who haven’t chosen one and whose browser requests none that is offered."),
                    kind="choice",
                    choices=(("en", "English"), ("de", "Deutsch")),
                ),
                "conversation_retention_days": Input(
                    _("Keep conversations for (days)"),
                    _("Conversations that nobody continues for so long are deleted for good. 0: never."),
                    kind="number",
                    attributes={"min": "0", "max": "36500"},
                ),
            },
        ),
    )
}


def list_fields(form: SectionForm, values: Section, typed: Mapping[str, str]) -> list[Field]:
    """Return the fields with what was typed, else with what is stored. Secrets are never shown."""
    return [_field(form, name, each, values, typed) for name, each in form.inputs.items()]


def read_changes(form: SectionForm, typed: Mapping[str, str]) -> dict[str, Any]:
    """Return what a form changes. Fields that weren't sent, and empty secrets, stay unchanged."""
    secrets = form.section.secrets
    sent = {name: typed[name].strip() for name in form.inputs if name in typed}
    changes: dict[str, Any] = {
        name: (value.lower() if name == "accent_color" else value) or None
        for name, value in sent.items()
        if value or name not in secrets
    }
    return changes | {
        name: None for name in secrets if typed.get(f"{REMOVE}{name}") and not changes.get(name)
    }


def _field(form: SectionForm, name: str, given: Input, values: Section, typed: Mapping[str, str]) -> Field:
    section, stored = form.section, getattr(values, name)
    variable = section.variable_of(name)
    if name in section.secrets:
        return Field(name, given, "", variable, is_stored=stored is not None)
    applies = getattr(environment(), section.environment.get(name, ""), None)
    shown = applies if variable else stored
    text = _format_value(shown)
    return Field(name, given, typed.get(name, text), variable, _format_fallback(given, applies))


def _format_fallback(given: Input, applies: Any) -> str:
    """Return the value that applies where nothing is stored; "" if there is none."""
    if applies is None:
        return ""
    label = dict(given.choices).get(_format_value(applies), _format_value(applies))
    return gettext("Default: {value}").format(value=label)


def _format_value(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
