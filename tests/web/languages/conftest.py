from tests.web.security.conftest import (
    admin,
    base,
    document,
    files_in_memory,
    index,
    mia,
    parts,
    rob,
    shelf,
    world,
)

__all__ = [
    "admin",
    "base",
    "document",
    "files_in_memory",
    "index",
    "mia",
    "parts",
    "rob",
    "shelf",
    "world",
]
