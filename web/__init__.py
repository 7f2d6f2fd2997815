"""What people and programs reach: `pages` (HTML), `api` (REST), `protocols` (OpenAI, MCP, SCIM), `cli`."""
