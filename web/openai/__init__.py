"""Asking in the words of OpenAI's API, so that programs made for it can ask Cairn."""
