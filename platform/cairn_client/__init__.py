"""Client for searching Cairn with an API key. It only needs httpx; the retrievers need their frameworks."""

from cairn_client.client import Cairn, CairnRefused, CairnUnreachable, Passage

__all__ = ["Cairn", "CairnRefused", "CairnUnreachable", "Passage"]
