"""Signing in with an LDAP directory. Needs ldap3, which `pip install "cairn[ldap]"` brings."""
