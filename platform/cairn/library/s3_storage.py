"""Storage in a bucket of an S3-compatible server. `cairn.settings.storage` names it by dotted path."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import File
from storages.backends.s3 import S3File, S3Storage
from storages.utils import clean_name

from cairn.errors import ConfigurationError, Unavailable

_IN_MEMORY: Final = 1 << 20
_CONNECT_SECONDS, _READ_SECONDS, _TRIES = 5, 60, 3
_REFUSED: Final = {401, 403}


class BucketStorage(S3Storage):  # type: ignore[misc] # django-storages has no types
    """Raises Unavailable if the server is unreachable, ConfigurationError if it denies access."""

    def __init__(self, *, addressing_style: str, **options: Any) -> None:
        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "max_attempts": _TRIES},
            s3={"addressing_style": addressing_style},
            proxies={},  # those of the environment are for other hosts
            request_checksum_calculation="when_required",  # servers other than Amazon's refuse some
            response_checksum_validation="when_required",
        )
        super().__init__(client_config=config, max_memory_size=_IN_MEMORY, file_overwrite=True, **options)

    @property
    def bucket(self) -> Any:
        """The bucket, one per thread: connections must not be shared."""
        return self.connection.Bucket(self.bucket_name)

    def _open(self, name: str, mode: str = "rb") -> "File[bytes]":
        with _translate_errors():
            opened: File[bytes] = super()._open(name, mode)
            return opened if "w" in mode else _Fetched(opened)

    def _save(self, name: str, content: "File[bytes]") -> str:
        with _translate_errors():
            return str(super()._save(name, content))

    def delete(self, name: str) -> None:
        """Deletes every version, since a bucket that keeps versions would otherwise only hide the file."""
        with _translate_errors():
            key = self._normalize_name(clean_name(name))
            if self.bucket.Object(key).delete().get("DeleteMarker"):
                self._delete_versions(key)

    def _delete_versions(self, key: str) -> None:
        for version in self.bucket.object_versions.filter(Prefix=key):
            if version.object_key == key:
                version.delete()

    def exists(self, name: str) -> bool:
        with _translate_errors():
            return bool(super().exists(name))

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        with _translate_errors():
            folders, files = super().listdir(path)
            return folders, files

    def size(self, name: str) -> int:
        with _translate_errors():
            return int(super().size(name))

    def check_access(self) -> None:
        """Raise Unavailable or ConfigurationError unless the bucket is accessible."""
        with _translate_errors():
            self.connection.meta.client.head_bucket(Bucket=self.bucket_name)


class _Fetched(File):  # type: ignore[type-arg] # not generic when it runs
    """A file that is fetched, in ranges side by side if it is large, when it is first read."""

    def __init__(self, file: S3File) -> None:
        super().__init__(file, file.name)
        self._remote = file

    @property
    def size(self) -> int:
        return int(self._remote.size)

    def read(self, *count: int) -> bytes:
        with _translate_errors():
            return bytes(self._remote.read(*count))

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        while block := self.read(chunk_size or self.DEFAULT_CHUNK_SIZE):
            yield block

    def seek(self, offset: int, whence: int = 0) -> int:
        with _translate_errors():
            return int(self._remote.seek(offset, whence))

    def close(self) -> None:
        self._remote.close()


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Map errors of an unreachable, overloaded or misconfigured server."""
    try:
        yield
    except ClientError as error:
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if status in _REFUSED:
            raise ConfigurationError("The file storage does not accept S3_ACCESS_KEY.") from error
        if status == 404:
            raise FileNotFoundError("There is no such file, or no such bucket.") from error
        raise Unavailable(f"The file storage returned status {status}.") from error
    except BotoCoreError as error:
        raise Unavailable("The file storage isn’t responding.") from error
