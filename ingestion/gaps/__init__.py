"""Verified answers to knowledge gaps, and retries of open ones."""
