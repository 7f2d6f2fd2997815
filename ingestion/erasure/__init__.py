"""Erasure of documents and users, retention, and receipts."""
