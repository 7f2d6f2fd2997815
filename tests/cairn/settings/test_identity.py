"""The file of identity providers."""

from pathlib import Path

import pytest

from cairn.errors import ConfigurationError
from cairn.settings.identity import allauth_settings, identity_providers

OIDC = """
[[oidc]]
id = "okta"
name = "Okta"
server_url = "https://example.okta.com/"
client_id = "cairn"
client_secret = "s3cret"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "providers.toml"
    path.write_text(text)
    return path


def test_provider_secrets_are_not_in_the_repr(tmp_path: Path) -> None:
    providers = identity_providers(written(tmp_path, OIDC))
    [provider] = providers.oidc
    assert (provider.source, provider.server_url) == ("oidc:okta", "https://example.okta.com")
    assert "s3cret" not in repr(providers)
    [app] = allauth_settings(providers)["openid_connect"]["APPS"]
    assert app["secret"] == "s3cret"
    assert app["settings"]["oauth_pkce_enabled"] is True


def test_provider_secret_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("in a file\n")
    text = OIDC.replace('client_secret = "s3cret"', f'client_secret_file = "{tmp_path / "secret"}"')
    assert identity_providers(written(tmp_path, text)).oidc[0].secret == "in a file"


def test_no_providers_exist_without_a_file() -> None:
    assert identity_providers(None).all == ()


@pytest.mark.parametrize(
    "text",
    [
        OIDC.replace("https://", "http://"),
        OIDC.replace('id = "okta"', 'id = "Okta/.."'),
        OIDC + 'unknown = "s3cret"',
        OIDC + OIDC,
        OIDC.replace("client_id", "client"),
        OIDC
        + '[[saml]]\nid = "okta"\nname = "x"\nentity_id = "x"\nsso_url = "https://x"\ncertificate = "x"\n',
        '[[saml]]\nid = "x"\nname = "x"\nentity_id = "x"\nsso_url = "https://x"\n',
        "not = [toml",
    ],
)
def test_invalid_provider_error_hides_secrets(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        identity_providers(written(tmp_path, text))
    assert "s3cret" not in caught.value.message
    assert "IDENTITY_PROVIDERS" in caught.value.message
