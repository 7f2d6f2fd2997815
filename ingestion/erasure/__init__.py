"""Erasure of documents and users, retention, and receipts.

As everywhere, services are named noun_verb: `user_erase` erases a user.
"""
