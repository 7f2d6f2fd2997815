"""OpenAI-compatible API, so that existing clients can use Cairn."""
