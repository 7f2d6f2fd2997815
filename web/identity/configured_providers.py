"""Configured identity providers, and the provider of a session."""

from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.http import HttpRequest

from cairn.settings.identity import IdentityProvider, IdentityProviders, OidcProvider
from cairn.settings.stored.sections import SignIn
from cairn.settings.stored.store import load_identity_providers


def identity_providers() -> IdentityProviders:
    """Return the providers of the file that IDENTITY_PROVIDERS names, else those stored in the console."""
    named: IdentityProviders = settings.IDENTITY_PROVIDERS
    if named.all or SignIn.variable_of("server_url"):
        return named
    stored: dict[str, OidcProvider] = {}
    for section in load_identity_providers().values():
        if provider := section.provider:
            stored.setdefault(provider.id, provider)  # two admins may add the same one at the same moment
    return IdentityProviders(oidc=tuple(stored.values()))


def provider_from(source: str) -> IdentityProvider | None:
    return next((provider for provider in identity_providers().all if provider.source == source), None)


def has_second_factor_at_provider(request: HttpRequest) -> bool:
    """Return whether the provider of this session requires a second factor itself."""
    records = get_authentication_records(request, request.user)
    came_from = [record.get("provider", "") for record in records if record.get("method") == "socialaccount"]
    found = [provider_from(source) for source in came_from]
    return any(provider.second_factor for provider in found if provider)
