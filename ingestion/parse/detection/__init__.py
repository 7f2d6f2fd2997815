"""Detecting a file's format from its content."""
