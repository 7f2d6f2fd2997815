"""A bucket, listed page by page."""

import hashlib
import io
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

import boto3
import httpx
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson
from cairn.messages import CodedMessage
from ingestion.sources.check_steps import check_reading
from ingestion.sources.encryption import find_addresses
from ingestion.sources.item_streams import MAX_VERSION_LENGTH, ItemStream, shorten_id
from ingestion.sources.kinds.s3.access_file import MAX_BYTES, AccessFile, InvalidAccessFile
from ingestion.sources.kinds.s3.options import S3Options
from ingestion.sources.kinds.s3.transport import GuardedSender
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Item,
    ItemChanged,
    ItemUnavailable,
    Progress,
    SourceRefused,
    SourceUnavailable,
)

MAX_PAGES: Final = 100_000
MAX_EMPTY_PAGES: Final = 100
_PIECE_BYTES: Final = 65536
_WRONG_KEY: Final = frozenset(
    ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "AuthorizationHeaderMalformed")
)
_GONE: Final = frozenset(("NoSuchKey", "404", "NotFound"))
_CHANGED: Final = frozenset(("PreconditionFailed", "412"))


@contextmanager
def connect(options: S3Options) -> Iterator["S3Source"]:
    """Create a client. It connects when something is asked for."""
    host, port, encrypted = _address(options)
    find_addresses(host, port, encrypted=encrypted)
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=options.endpoint_url,
        region_name=options.region,
        aws_access_key_id=options.access_key_id,
        aws_secret_access_key=options.secret_access_key.get_secret_value(),
        config=Config(
            s3={"addressing_style": "path", "us_east_1_regional_endpoint": "regional"},
            signature_version="s3v4",
            retries={"total_max_attempts": 1},
            proxies={},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    with closing(GuardedSender(options.endpoint_url)) as sender:
        client.meta.events.register("before-send.s3", sender.send)
        yield S3Source(options, client)


def _address(options: S3Options) -> tuple[str, int, bool]:
    parts = urlsplit(options.endpoint_url)
    encrypted = parts.scheme == "https"
    return parts.hostname or "", parts.port or (443 if encrypted else 80), encrypted


class S3Source:
    """URIs of items are `s3://bucket/key`."""

    def __init__(self, options: S3Options, client: Any) -> None:
        self._options, self._client = options, client
        self._server, _, self._encrypted = _address(options)
        self._bucket_uri = f"s3://{options.bucket}/"
        self._access: AccessFile | str | None = None

    def check(self) -> Iterator[CheckStep]:
        """Test the key and the listing, the access file, and the first object."""
        listed = CodedMessage("source_step_list")
        try:
            page = self._list_page(None)
        except (SourceUnavailable, SourceRefused) as error:
            yield CheckStep(listed, problem=error.message)
            return
        yield CheckStep(listed, warning="" if self._encrypted else CodedMessage("source_unencrypted"))
        if self._options.access_file:
            found = self._load_access()
            name = CodedMessage("source_step_access_file")
            yield CheckStep(name, problem="" if isinstance(found, AccessFile) else found)
        items = filter(None, map(self._build_item, page.get("Contents", [])))
        yield check_reading(self, items, lambda item: item.name)

    def list_changes(self, cursor: str) -> Iterator[Change]:  # noqa: ARG002  # S3 has no cursors
        """Yield all objects below the prefix."""
        token, tokens, empty = None, set(), 0
        for _ in range(MAX_PAGES):
            yield Progress()
            page = self._list_page(token)
            rows = page.get("Contents", [])
            yield from filter(None, map(self._build_item, rows))
            if not page.get("IsTruncated"):
                yield Complete()
                return
            token, empty = page.get("NextContinuationToken"), 0 if rows else empty + 1
            digest = hashlib.sha256(str(token).encode()).digest()
            if token is None or digest in tokens or empty > MAX_EMPTY_PAGES:
                break
            tokens.add(digest)
        raise SourceUnavailable(CodedMessage("source_answer_endless", server=self._server))

    @contextmanager
    def open(self, item: Item) -> Iterator[BinaryIO]:
        """Open an object, if it is still the listed one. Later changes don't reach a running answer."""
        key = item.uri.removeprefix(self._bucket_uri)
        if not item.uri.startswith(self._bucket_uri + self._options.prefix):  # of a bucket configured before
            raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
        try:
            answer = self._client.get_object(
                Bucket=self._options.bucket, Key=key, IfMatch=f'"{item.version}"'
            )
        except (ClientError, BotoCoreError) as error:
            raise self._explain_item(item, error) from error
        with closing(answer["Body"]) as body:
            yield _as_file(item, body)

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        """Yield the access from the access file. Bucket policies and object ACLs aren't read."""
        found = self._load_access()
        for item in items:
            key = item.uri.removeprefix(self._bucket_uri)
            if isinstance(found, AccessFile):
                yield item.id, SourceAccess(levels=(found.level_for(key),))
            else:
                yield item.id, SourceAccess(unknown=found)

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield the people and groups of the access file."""
        found = self._load_access()
        if isinstance(found, AccessFile):
            return found.list_people()
        if self._options.access_file:
            raise SourceRefused(found)
        return iter(())

    def _load_access(self) -> AccessFile | str:
        """Return the access file, or the reason why there is none, read once per connection."""
        if self._access is None:
            self._access = self._read_access_file()
        return self._access

    def _read_access_file(self) -> AccessFile | str:
        name = self._options.access_file
        if not name:
            return CodedMessage("source_no_access_file")
        try:
            answer = self._client.get_object(Bucket=self._options.bucket, Key=name)
            with closing(answer["Body"]) as body:
                content = _as_file(_build_access_item(name), body).read(MAX_BYTES + 1)
            return AccessFile(content, bucket=self._options.bucket)
        except InvalidAccessFile as error:
            return CodedMessage("source_access_file_invalid", name=name, reason=str(error))
        except (ClientError, BotoCoreError) as error:
            found = self._explain_item(_build_access_item(name), error)
            if isinstance(found, SourceUnavailable):
                raise found from error
            return found.message
        except ItemUnavailable as error:
            return error.message

    def _list_page(self, token: str | None) -> Any:
        more = {"ContinuationToken": token} if token else {}
        try:
            return self._client.list_objects_v2(
                Bucket=self._options.bucket, Prefix=self._options.prefix, **more
            )
        except (ClientError, BotoCoreError) as error:
            raise self._explain(error) from error

    def _build_item(self, row: Any) -> Item | None:
        key = row["Key"]
        folder, _, name = key.rpartition("/")
        if not name or key == self._options.access_file:
            return None
        return Item(
            id=shorten_id(key),
            name=name,
            uri=f"{self._bucket_uri}{key}",
            version=shorten_id(row["ETag"].strip('"'), MAX_VERSION_LENGTH),
            container=folder,
            size=row.get("Size"),
            modified=row.get("LastModified"),
        )

    def _explain(self, error: Exception) -> SourceUnavailable | SourceRefused:
        code, status = _code(error), _status(error)
        if code in _WRONG_KEY:
            return SourceRefused(CodedMessage("source_key_refused", server=self._server))
        if code == "NoSuchBucket":
            name = self._options.bucket
            return SourceRefused(CodedMessage("source_folder_missing", server=self._server, name=name))
        if status == 403:
            name = self._bucket_uri + self._options.prefix
            return SourceRefused(CodedMessage("source_folder_refused", name=name))
        if status in {429, 500, 502, 503, 504}:
            return SourceUnavailable(
                CodedMessage("source_busy", server=self._server, status=status), retry_after=60
            )
        reason = str(error)[:300]
        return SourceRefused(CodedMessage("source_answer_invalid", server=self._server, reason=reason))

    def _explain_item(
        self, item: Item, error: Exception
    ) -> SourceUnavailable | SourceRefused | ItemUnavailable | ItemChanged:
        code, status = _code(error), _status(error)
        if code in _GONE:
            return ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
        if code in _CHANGED:
            return ItemChanged(CodedMessage("source_item_changed"))
        if status == 403 and code not in _WRONG_KEY:
            return ItemUnavailable(CodedMessage("source_item_refused", name=item.name))
        return self._explain(error)


def _as_file(item: Item, body: Any) -> BinaryIO:
    return io.BufferedReader(ItemStream(_read_pieces(item, body), lambda: None))


def _read_pieces(item: Item, body: Any) -> Iterator[bytes]:
    """Yield the content. An object that ends before its announced size is refused."""
    try:
        yield from body.iter_chunks(_PIECE_BYTES)
    except (httpx.TransportError, BotoCoreError) as error:
        message = CodedMessage("source_item_broken", name=item.name, reason=str(error))
        raise ItemUnavailable(message) from error


def _build_access_item(key: str) -> Item:
    return Item(id=key, name=key, uri=key, version="")


def _code(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _status(error: Exception) -> int:
    metadata = error.response.get("ResponseMetadata", {}) if isinstance(error, ClientError) else {}
    return int(metadata.get("HTTPStatusCode", 0))
