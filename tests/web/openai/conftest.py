from tests.web.api.conftest import (
    admin,
    base,
    document,
    files_in_memory,
    grant,
    index,
    leave,
    mia,
    one_moment,
    parts,
    rob,
)

__all__ = [
    "admin",
    "base",
    "document",
    "files_in_memory",
    "grant",
    "index",
    "leave",
    "mia",
    "one_moment",
    "parts",
    "rob",
]
