"""Problems with the options of a source are shown in the reader's language."""

from typing import Any

import pytest
from django.utils import translation
from pydantic import ValidationError

from ingestion.sources.kinds.git.options import GitOptions
from ingestion.sources.kinds.imap.options import ImapOptions
from ingestion.sources.kinds.llama_index.options import ReaderOptions
from ingestion.sources.kinds.s3.options import S3Options
from ingestion.sources.kinds.smb.options import SmbOptions
from ingestion.sources.kinds.webdav.options import WebdavOptions
from ingestion.sources.protocol import SourceOptions
from web.i18n.field_errors import OTHER_ERROR
from web.sources.option_fields import describe_problems

ADDRESSES = ("ftp://files", "https://", "https://[::1", "https://files:99999/", "https://files:0/")
GROUPS = {"host": "mail.example.org", "username": "cairn", "password": "secret", "groups": "a: b\na: c"}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((WebdavOptions, {"url": url}) for url in (*ADDRESSES, "https://ada@files/", "https://files/?a=b")),
        *((S3Options, {"endpoint_url": url}) for url in (*ADDRESSES, "https://files/bucket")),
        (GitOptions, {"page_url": "https://git/main"}),
        (ImapOptions, {**GROUPS, "groups": "finance"}),
        (ImapOptions, GROUPS),
        (ReaderOptions, {"reader": "no.Reader", "arguments": "[1]"}),
        (SmbOptions, {"server": "a/b", "share": "a/b", "folder": "../a"}),
    ],
)
def test_each_problem_has_german(kind: type[SourceOptions], options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        kind.model_validate(options)
    with translation.override("en"):
        english = describe_problems(refused.value)
    with translation.override("de"):
        german = describe_problems(refused.value)
    assert english.keys() & {*options, ""}
    assert OTHER_ERROR not in english.values()
    assert not set(english.values()) & set(german.values())
