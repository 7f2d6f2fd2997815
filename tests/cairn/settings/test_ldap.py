from typing import Any

import pytest

from cairn.errors import ConfigurationError
from cairn.settings import Environment
from cairn.settings.ldap import LdapSettings, ldap_settings

BASE = "ou=people,dc=example,dc=org"


def settings(url: str | None, **more: Any) -> LdapSettings | None:
    return ldap_settings(Environment(ldap_url=url, **{"ldap_user_base": BASE, **more}))


@pytest.mark.parametrize(
    ("url", "port", "tls", "start_tls"),
    [
        ("ldaps://dc.example.org", 636, True, False),
        ("ldaps://127.0.0.1:1636", 1636, True, False),
        ("ldap://dc.example.org", 389, False, True),
        ("ldap://10.0.0.7:1389", 1389, False, True),
        ("ldap://localhost.example.org", 389, False, True),
        ("ldap://localhost", 389, False, False),
        ("ldap://127.0.0.1", 389, False, False),
        ("ldap://[::1]:1389", 1389, False, False),
    ],
)
def test_only_loopback_is_bare(url: str, port: int, tls: bool, start_tls: bool) -> None:
    found = settings(url)
    assert found is not None
    assert (found.port, found.tls, found.start_tls) == (port, tls, start_tls)


def test_ldap_settings_are_absent_without_a_directory() -> None:
    assert settings(None) is None


@pytest.mark.parametrize(
    ("url", "more"),
    [
        ("http://dc.example.org", {}),
        ("dc.example.org", {}),
        ("ldaps://", {}),
        ("ldaps://dc.example.org", {"ldap_user_base": ""}),
        ("ldaps://dc.example.org", {"ldap_user_filter": "(objectClass=person)"}),
    ],
)
def test_invalid_ldap_settings_are_rejected_at_start(url: str, more: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="LDAP_U"):
        settings(url, **more)


def test_ldap_password_is_hidden_in_repr() -> None:
    assert "s3cret" not in repr(settings("ldaps://dc.example.org", ldap_bind_password="s3cret"))
