"""Parsers for all file formats, and the sandbox they run in."""
