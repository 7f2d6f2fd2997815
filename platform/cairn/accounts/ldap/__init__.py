"""Signing in with an LDAP directory. Needs ldap3, which the extra `ldap` brings."""
