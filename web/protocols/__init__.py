"""Protocols of other products: OpenAI, Dify, MCP and SCIM."""
