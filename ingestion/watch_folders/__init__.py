"""Folders of the server that are scanned for changes."""
