"""Outgoing mail: the configured server, a check of it, and the sending of messages."""
