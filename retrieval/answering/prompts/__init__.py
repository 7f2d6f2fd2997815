"""Prompts for the chat model, and the evidence they contain."""
