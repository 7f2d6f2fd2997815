"""Objects in a bucket of Amazon S3, or of a server that speaks its protocol."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.s3.options import S3Options
from ingestion.sources.kinds.s3.source import connect
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="s3",
    label=_("S3 bucket"),
    description=_(
        "Files in a bucket of Amazon S3, MinIO, Ceph or another S3 server. You choose the readers, or a file "
        "in the bucket names the people and groups who may read each folder."
    ),
    options=S3Options,
    connect=connect,
    has_access=True,
    has_people=True,
    docs="administer/sources/s3",
)
