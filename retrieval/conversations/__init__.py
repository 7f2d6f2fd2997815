"""Conversations: asking, storing answers, sharing, searching and hiding what may not be read."""
