"""Assistants: instructions and starter questions for a selection of knowledge bases."""
