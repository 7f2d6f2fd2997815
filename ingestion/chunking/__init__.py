"""Splitting a rendition into chunks."""
