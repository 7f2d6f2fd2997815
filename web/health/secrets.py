"""Removes secrets from error messages."""

import re
from typing import Final
from urllib.parse import urlsplit

from cairn.settings import Environment

_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]*@")


def without_secrets(text: str, given: Environment) -> str:
    """Remove API keys and URL passwords, which servers may repeat in error messages."""
    keys = (given.llm_api_key, given.embedding_api_key, given.reranker_api_key, given.qdrant_api_key)
    credentials = [key.get_secret_value() for key in keys if key]
    addresses = (*given.llm_base_urls, given.embedding_base_url, given.reranker_base_url)
    credentials += [urlsplit(url).password or "" for url in addresses if url]
    for secret in filter(None, credentials):
        text = text.replace(secret, "…")
    return _CREDENTIALS.sub("", text)
