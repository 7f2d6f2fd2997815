"""Embedding chunks, and adding them to the index or removing them."""
