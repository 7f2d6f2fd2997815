"""Routes for asking and for conversations."""
