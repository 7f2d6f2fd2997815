"""OpenAI-compatible API, so that existing clients can use Cairn.

For Cairn as a client of such servers, see `cairn.inference.chat`.
"""
