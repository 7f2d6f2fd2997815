"""Signing in with an LDAP directory."""
