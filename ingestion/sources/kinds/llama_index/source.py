"""A reader of LlamaIndex that lists its resources (`ResourcesReaderMixin`)."""

import hashlib
import io
import json
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from llama_index.core.readers.base import ResourcesReaderMixin
from llama_index.core.readers.file.base import FileSystemReaderMixin

from cairn.errors import CairnError, ConfigurationError
from cairn.messages import CodedMessage
from cairn.settings.dotted_paths import create_dotted
from ingestion.sources.check_steps import check_reading, find_first
from ingestion.sources.item_streams import shorten_id
from ingestion.sources.kinds.llama_index.options import ReaderOptions, parse_arguments
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Item,
    ItemUnavailable,
    Progress,
    SourceRefused,
    SourceUnavailable,
    WithoutAccess,
)


@contextmanager
def connect(options: ReaderOptions) -> Iterator["ReaderSource"]:
    """Create the reader, which opens its own connections."""
    secrets = parse_arguments(options.secrets.get_secret_value())
    hidden = sorted(set(_find_texts(secrets)), key=len, reverse=True)
    try:
        reader = create_dotted(
            "SOURCE_READERS",
            options.reader,
            ResourcesReaderMixin,  # type: ignore[type-abstract]
            {**parse_arguments(options.arguments), **secrets},
            secrets=hidden,
        )
    except ConfigurationError as error:
        raise SourceRefused(error.message) from None
    yield ReaderSource(options.reader, reader, hidden)


def _find_texts(value: object) -> Iterator[str]:
    """Yield the texts and numbers in the secrets, however deep, except for those too short to be secret."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _find_texts(each)
    elif value is not None and not isinstance(value, bool) and len(text := str(value)) > 1:
        yield text


class ReaderSource(WithoutAccess):
    """Resources of a reader. Its errors are shown without the values in `hidden`."""

    def __init__(self, name: str, reader: ResourcesReaderMixin, hidden: Collection[str]) -> None:
        self._name, self._reader, self._hidden = name, reader, hidden

    def check(self) -> Iterator[CheckStep]:
        """Test whether the reader lists and reads resources."""
        listed = CodedMessage("source_step_list")
        try:
            items = find_first(self.list_changes(""))
        except CairnError as error:
            yield CheckStep(listed, problem=error.message)
            return
        yield CheckStep(listed)
        yield check_reading(self, items, lambda item: item.name)

    def list_changes(self, cursor: str) -> Iterator[Change]:  # noqa: ARG002  # readers have no cursors
        """Yield all resources. A resource's metadata from the reader serves as its version."""
        with self._explain():
            resources = self._reader.list_resources()
        for resource in resources:
            yield Progress()
            with self._explain():
                info = self._reader.get_resource_info(resource)
            yield self._build_item(resource, info)
        yield Complete()

    def open(self, item: Item) -> AbstractContextManager[BinaryIO]:
        """Open the file, or the text that the reader makes of another kind of resource."""
        try:
            return nullcontext(io.BytesIO(self._read(item.uri)))
        except Exception as error:  # noqa: BLE001  # code of another package
            message = CodedMessage("source_item_broken", name=item.name, reason=self._describe(error))
            raise ItemUnavailable(message) from None

    def _read(self, resource: str) -> bytes:
        if isinstance(self._reader, FileSystemReaderMixin):
            return self._reader.read_file_content(Path(resource))
        documents = self._reader.load_resource(resource)
        return "\n\n".join(document.text for document in documents).encode("utf-8", "replace")

    def _build_item(self, resource: str, info: dict[str, Any]) -> Item:
        path = PurePosixPath(str(info.get("file_name") or info.get("name") or resource))
        is_file = isinstance(self._reader, FileSystemReaderMixin)
        described = json.dumps(info, sort_keys=True, default=str)
        return Item(
            id=shorten_id(resource),
            name=path.name if is_file else f"{path.name}.txt",
            uri=resource,
            version=hashlib.sha256(described.encode("utf-8", "replace")).hexdigest(),
            title="" if is_file else path.name,
        )

    @contextmanager
    def _explain(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001  # code of another package
            message = CodedMessage("source_reader_failed", name=self._name, reason=self._describe(error))
            raise SourceUnavailable(message) from None

    def _describe(self, error: Exception) -> str:
        text = f"{type(error).__name__}: {error}"
        for secret in self._hidden:
            text = text.replace(secret, "…")
        return text[:300]
