"""Outgoing requests that cannot reach internal addresses, and the headers of trusted proxies."""
