"""Verified answers to knowledge gaps, retries of open ones, and notices to people who asked."""
