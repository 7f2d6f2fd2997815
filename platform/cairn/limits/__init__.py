"""Limits: what people and programs may use, and what they have used."""
