"""Permissions: who may read and change knowledge bases and documents (authorization, access control).

`permissions` decides; `selectors` load what somebody may read; `audience` tells who may read something.

Rules for imports, gaps, assistants and shared conversations build on these.
"""
