"""Audit log: events, their hash chain, and its verification."""
