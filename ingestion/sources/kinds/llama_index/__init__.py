"""Anything that a reader of LlamaIndex reads."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.llama_index.options import ReaderOptions
from ingestion.sources.kinds.llama_index.source import connect
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="llama_index",
    label=_("LlamaIndex reader"),
    description=_(
        "Documents from a reader of LlamaIndex that is installed on the server. Choose who may read them: "
        "Cairn doesn’t know their permissions."
    ),
    options=ReaderOptions,
    connect=connect,
    docs="administer/sources/llama-index",
)
