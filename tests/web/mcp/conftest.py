from tests.web.api.conftest import admin, base, document, files_in_memory, grant, index, mia, parts, rob

__all__ = ["admin", "base", "document", "files_in_memory", "grant", "index", "mia", "parts", "rob"]
