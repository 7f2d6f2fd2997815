from tests.web.api.conftest import admin, index, mia, parts
from tests.web.working import pool

__all__ = ["admin", "index", "mia", "parts", "pool"]
