from tests.web.api.conftest import admin, index, mia, parts

__all__ = ["admin", "index", "mia", "parts"]
