"""Searching a Cairn elsewhere, with an API key. Needs httpx only; the retrievers need their frameworks."""

from cairn_client.client import Cairn, CairnRefused, CairnUnreachable, Passage

__all__ = ["Cairn", "CairnRefused", "CairnUnreachable", "Passage"]
