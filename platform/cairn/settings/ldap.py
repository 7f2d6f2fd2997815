"""An LDAP directory that people sign in with."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cairn.errors import ConfigurationError
from cairn.settings.env import Environment

PORTS = {"ldap": 389, "ldaps": 636}
USERNAME = "{username}"


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """`user_filter` has {username} in it, `group_filter` {username} or {dn}. `start_tls`: for ldap://, which
    is bare on loopback alone."""

    host: str
    port: int
    tls: bool
    start_tls: bool
    user_base: str
    user_filter: str = f"(uid={USERNAME})"
    user_name: str = "uid"
    group_base: str = ""
    group_filter: str = "(member={dn})"
    bind_dn: str = ""
    bind_password: str = field(default="", repr=False)
    ca_file: Path | None = None


def ldap_settings(env: Environment) -> LdapSettings | None:
    """Return the LDAP settings, None without a directory."""
    if env.ldap_url is None:
        return None
    parts = urlsplit(env.ldap_url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ConfigurationError("LDAP_URL must be ldaps://host or ldap://host.")
    if not env.ldap_user_base or USERNAME not in env.ldap_user_filter:
        raise ConfigurationError(f"LDAP_URL needs LDAP_USER_BASE, and {USERNAME} in LDAP_USER_FILTER.")
    return LdapSettings(
        host=parts.hostname,
        port=parts.port or PORTS[parts.scheme],
        tls=parts.scheme == "ldaps",
        start_tls=parts.scheme == "ldap" and not _is_loopback(parts.hostname),
        user_base=env.ldap_user_base,
        user_filter=env.ldap_user_filter,
        user_name=env.ldap_user_name,
        group_base=env.ldap_group_base,
        group_filter=env.ldap_group_filter,
        bind_dn=env.ldap_bind_dn,
        bind_password=env.ldap_bind_password.get_secret_value() if env.ldap_bind_password else "",
        ca_file=env.ldap_ca_file,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
