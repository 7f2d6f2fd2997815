"""Pages for asking questions."""
