"""Permissions: who may read and change knowledge bases and documents (authorization, access control).

`permissions` decides, `selectors` load what a principal may read, and `audience` lists who may read
something.

Rules for imports, gaps, assistants and shared conversations build on these.
"""
