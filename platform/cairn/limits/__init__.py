"""Rate limits and quotas of users and API keys, and their usage."""
