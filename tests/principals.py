"""Principals for tests."""

from uuid import UUID

from cairn.access.scope import Principal

SETUP = Principal(user=UUID(int=0), username="setup", is_admin=True)
"""Prepares data in tests that are not about who may do so."""
