"""Options of an S3 source."""

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, field_validator

from ingestion.sources.protocol import SourceOptions
from ingestion.sources.web_server import split_address


class S3Options(SourceOptions):
    """`endpoint_url` has no path."""

    endpoint_url: str = Field(
        max_length=500,
        title=_("Address of the server"),
        description=_("Such as https://s3.eu-central-1.amazonaws.com or https://minio.example.org:9000."),
    )
    region: str = Field(
        default="us-east-1",
        max_length=50,
        pattern=r"^[a-z0-9-]+$",
        title=_("Region"),
        description=_("On Amazon S3, the region of the bucket. Most other servers ignore it."),
    )
    bucket: str = Field(
        max_length=63, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]+$", title=_("Bucket"), description=""
    )
    prefix: str = Field(
        default="",
        max_length=500,
        title=_("Folder"),
        description=_("Only keys that start with this, such as “handbook/”. Empty for the whole bucket."),
    )
    access_key_id: str = Field(
        max_length=200,
        title=_("Access key ID"),
        description=_("It needs the permissions s3:ListBucket and s3:GetObject."),
    )
    secret_access_key: SecretStr = Field(title=_("Secret access key"), description="")
    access_file: str = Field(
        default="",
        max_length=500,
        title=_("Access file"),
        description=_(
            "Key of a JSON or YAML file in the bucket that says who may read which folder. Without one, "
            "choose the readers below."
        ),
    )

    @field_validator("endpoint_url")
    @classmethod
    def _check_endpoint(cls, url: str) -> str:
        parts = split_address(url)
        if parts.username is not None or parts.query or parts.fragment or parts.path.strip("/"):
            raise ValueError(_("Enter only the server’s address, without bucket and folder."))
        return f"{parts.scheme}://{parts.netloc}"
