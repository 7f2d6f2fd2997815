"""Configured identity providers, and the provider of a session."""

from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.http import HttpRequest

from cairn.settings.identity import IdentityProvider, IdentityProviders


def identity_providers() -> IdentityProviders:
    found: IdentityProviders = settings.IDENTITY_PROVIDERS
    return found


def provider_from(source: str) -> IdentityProvider | None:
    return next((provider for provider in identity_providers().all if provider.source == source), None)


def has_second_factor_at_provider(request: HttpRequest) -> bool:
    """Return whether the provider of this session requires a second factor itself."""
    records = get_authentication_records(request, request.user)
    came_from = [record.get("provider", "") for record in records if record.get("method") == "socialaccount"]
    found = [provider_from(source) for source in came_from]
    return any(provider.second_factor for provider in found if provider)
