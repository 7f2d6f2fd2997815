"""Character sets, cleaning of text, and checks of it."""
