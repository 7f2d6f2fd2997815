"""Imports: many files submitted together."""
