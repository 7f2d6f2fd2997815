"""Permissions: who may read and change knowledge bases and documents.

Rules for imports, gaps, assistants and shared conversations build on these.
"""
