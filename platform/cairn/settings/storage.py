"""File storage: a folder, or a bucket of an S3-compatible server."""

from pathlib import Path
from typing import Any

from cairn.settings.env import Environment


def storage_settings(given: Environment, *, folder: Path) -> dict[str, Any]:
    """Django's STORAGES["default"]."""
    if given.s3_bucket is None:
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(folder), "file_permissions_mode": 0o600},
        }
    return {"BACKEND": "cairn.library.s3_storage.BucketStorage", "OPTIONS": _bucket(given)}


def _bucket(given: Environment) -> dict[str, Any]:
    secret = given.s3_secret_key
    return {
        "bucket_name": given.s3_bucket,
        "location": given.s3_prefix,
        "endpoint_url": given.s3_endpoint_url,
        "region_name": given.s3_region,
        "access_key": given.s3_access_key,
        "secret_key": secret.get_secret_value() if secret else None,
        "addressing_style": given.s3_addressing,
        "verify": str(given.s3_ca_file) if given.s3_ca_file else None,
    }
