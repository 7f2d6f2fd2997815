"""Storage of originals and renditions, under generated names."""

import errno
import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO
from uuid import UUID, uuid4

from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage

from cairn.errors import Unavailable
from cairn.library.rendition import Rendition
from cairn.messages import CodedMessage

FULL = (errno.ENOSPC, errno.EDQUOT)
NO_ROOM = CodedMessage("disk_full")
_BLOCK = 1 << 20


def sha256_of(file: "File[bytes]") -> str:
    digest = hashlib.sha256()
    for block in file.chunks(_BLOCK):
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()


def original_save(version: UUID, file: "File[bytes]") -> str:
    """Raises Unavailable where there is no room for it."""
    return _save(f"originals/{version.hex[:2]}/{version}", file)


def part_save(upload: UUID, data: bytes) -> str:
    """A piece of a file that is on its way. Raises Unavailable where there is no room for it."""
    return _save(f"parts/{upload.hex[:2]}/{upload}/{uuid4()}", ContentFile(data))


def parts_join(names: Iterable[str], target: BinaryIO) -> None:
    """Raises FileNotFoundError if one no longer exists."""
    for name in names:
        with default_storage.open(name) as source:
            target.writelines(source.chunks(_BLOCK))


def rendition_name(version: UUID) -> str:
    return f"renditions/{version.hex[:2]}/{version}.json.gz"


def rendition_save(version: UUID, rendition: Rendition) -> str:
    """Replaces what an earlier attempt wrote. Raises Unavailable where there is no room for it."""
    name = rendition_name(version)
    default_storage.delete(name)
    data = json.dumps(rendition.as_json(), ensure_ascii=False).encode("utf-8")
    return _save(name, ContentFile(gzip.compress(data, 5)))


def _save(name: str, file: "File[bytes]") -> str:
    """Save the whole file, or delete what was written of it."""
    try:
        return default_storage.save(name, file)
    except BaseException as error:
        default_storage.delete(name)
        if isinstance(error, OSError) and error.errno in FULL:
            raise Unavailable(NO_ROOM) from error
        raise


def rendition_load(name: str) -> Rendition:
    with default_storage.open(name) as stream:
        return Rendition.from_json(json.loads(gzip.decompress(stream.read())))


@contextmanager
def as_local_path(name: str) -> Iterator[Path]:
    """The file on local disk; a temporary copy where the storage is remote."""
    try:
        yield Path(default_storage.path(name))
        return
    except NotImplementedError:
        pass
    with TemporaryDirectory(prefix="cairn-") as folder:
        path = Path(folder) / "original"
        with default_storage.open(name) as source, path.open("wb") as target:
            for block in source.chunks(_BLOCK):
                target.write(block)
        yield path


def check_file_storage() -> None:
    """Raise Unavailable or ConfigurationError if files are stored elsewhere and can't be accessed."""
    check_access = getattr(default_storage, "check_access", None)
    if check_access is not None:
        check_access()


def files_delete(*names: str) -> int:
    """Delete files and return how many existed."""
    present = [name for name in names if name and default_storage.exists(name)]
    for name in present:
        default_storage.delete(name)
    return len(present)
