"""Syncs of sources: content, access and people."""
