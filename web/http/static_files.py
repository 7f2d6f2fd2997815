"""Static files, compressed once for all browsers that accept it."""

import gzip
import os
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final
from wsgiref.headers import Headers

from django.conf import settings
from servestatic.middleware import ServeStaticMiddleware  # type: ignore[import-untyped] # it has none
from servestatic.responders import StaticFile  # type: ignore[import-untyped] # the same

COMPRESSIBLE: Final = {".css", ".html", ".js", ".json", ".map", ".svg", ".txt"}


class StaticFilesMiddleware(ServeStaticMiddleware):  # type: ignore[misc] # of a class without types
    """Serves compressed copies, which are stored elsewhere, as package folders may be read-only."""

    def get_static_file(
        self, path: str, url: str, stat_cache: dict[str, os.stat_result] | None = None
    ) -> StaticFile:
        file = Path(path)
        if file.suffix not in COMPRESSIBLE or not file.is_file():
            return super().get_static_file(path, url, stat_cache)
        headers = Headers([])
        self.add_mime_headers(headers, path, url)
        self.add_cache_headers(headers, path, url)
        return StaticFile(path, headers.items(), encodings={"gzip": str(_compress_file(file))})

    def immutable_file_test(self, path: str, url: str) -> bool:
        """Return whether browsers may keep a file for good: a font's name has its version."""
        return Path(path).suffix == ".woff2" or bool(super().immutable_file_test(path, url))


def _compress_file(file: Path) -> Path:
    """Return the compressed copy, named by its content and therefore never stale."""
    content = file.read_bytes()
    folder = Path(settings.STATIC_ROOT)
    compressed = folder / f"{sha256(content).hexdigest()}.gz"
    if not compressed.exists():
        folder.mkdir(exist_ok=True)
        with NamedTemporaryFile(dir=folder, delete=False) as part:
            part.write(gzip.compress(content, 9, mtime=0))
        Path(part.name).replace(compressed)
    return compressed
