"""Uploads whose connection breaks, over real sockets, leave nothing behind."""

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.servers import Server

pytestmark = pytest.mark.models
BOUNDARY = "cut-here"
MEGABYTE = b"# Words\n\nThey go on and on.\n" * 37_450
Cut = Callable[[socket.socket], None]


def hang_up(connection: socket.socket) -> None:
    connection.close()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def send_no_more(connection: socket.socket) -> None:
    """Half closed: the sender would still listen."""
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(20)
    while connection.recv(4096):
        pass
    connection.close()


@pytest.fixture(scope="module")
def api(cairn_server: Server) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {cairn_server.key()}"}
    with httpx.Client(base_url=cairn_server.url, headers=headers, timeout=60, trust_env=False) as found:
        yield found


@pytest.fixture(scope="module")
def base(api: httpx.Client) -> str:
    return str(api.post("/api/v1/knowledge-bases", json={"name": "Cut uploads"}).json()["id"])


def head(api: httpx.Client, path: str, length: str, form: str) -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        f"Host: {urlsplit(str(api.base_url)).netloc}",
        f"Authorization: {api.headers['Authorization']}",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
        length,
    )
    return ("\r\n".join(lines) + "\r\n\r\n" + form).encode()


def part(name: str) -> str:
    return (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: text/markdown\r\n\r\n"
    )


def opened(api: httpx.Client) -> socket.socket:
    address = urlsplit(str(api.base_url))
    assert address.hostname
    assert address.port
    return socket.create_connection((address.hostname, address.port), timeout=20)


def files(server: Server) -> set[Path]:
    """Return the files of the server, and its temporary uploads."""
    return {
        path for name in ("files", "tmp") for path in (server.data_dir / name).rglob("*") if path.is_file()
    }


def state(api: httpx.Client, base: str) -> tuple[object, ...]:
    documents = api.get(f"/api/v1/knowledge-bases/{base}/documents").json()["items"]
    jobs = api.get("/api/v1/jobs", params={"knowledge_base": base}).json()["items"]
    return [each["id"] for each in documents], [each["id"] for each in jobs]


def upload(api: httpx.Client, base: str, name: str, content: bytes) -> httpx.Response:
    return api.post(f"/api/v1/knowledge-bases/{base}/documents", files={"file": (name, content)})


@pytest.mark.parametrize(
    "megabytes", [0, 1, 8], ids=["in the header of the part", "in memory", "on the disk"]
)
@pytest.mark.parametrize("cut", [hang_up, reset, send_no_more])
def test_interrupted_upload_leaves_nothing(
    cairn_server: Server, api: httpx.Client, base: str, cut: Cut, megabytes: int
) -> None:
    before = state(api, base), files(cairn_server)
    for length in (f"Content-Length: {40 << 20}", "Transfer-Encoding: chunked"):
        connection = opened(api)
        path = f"/api/v1/knowledge-bases/{base}/documents"
        chunked = "chunked" in length
        form = part("cut.md")
        connection.sendall(head(api, path, length, f"{len(form):x}\r\n{form}\r\n" if chunked else form))
        for _ in range(megabytes):
            connection.sendall(b"%x\r\n%b\r\n" % (len(MEGABYTE), MEGABYTE) if chunked else MEGABYTE)
        cut(connection)
    for _ in range(20):
        time.sleep(0.1)
        if (state(api, base), files(cairn_server)) == before:
            break
    assert (state(api, base), files(cairn_server)) == before
    assert api.get("/readyz").status_code == 200


def test_interrupted_replacement_preserves_the_document(
    cairn_server: Server, api: httpx.Client, base: str
) -> None:
    made = upload(api, base, "kept.md", b"# Kept\n\nThe old words.").json()["document"]
    connection = opened(api)
    path = f"/api/v1/knowledge-bases/{base}/documents"
    connection.sendall(head(api, path, f"Content-Length: {8 << 20}", part("kept.md")) + MEGABYTE)
    reset(connection)
    now = api.get(f"/api/v1/documents/{made['id']}").json()
    assert (now["version"], now["pending"], now["sha256"]) == (1, None, made["sha256"])
    again = upload(api, base, "kept.md", b"# Kept\n\nThe new words.")
    assert (again.status_code, again.json()["document"]["id"]) == (202, made["id"])


def test_overtaken_slow_upload_conflicts(api: httpx.Client, base: str) -> None:
    upload(api, base, "plan.md", b"# Plan\n\nThe first.")
    body = f"{part('plan.md')}# Plan\n\nThe slow one.\r\n--{BOUNDARY}--\r\n"
    path = f"/api/v1/knowledge-bases/{base}/documents"
    with opened(api) as connection:
        told = f"Expect: 100-continue\r\nContent-Length: {len(body)}"
        connection.sendall(head(api, path, told, ""))
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 "), "the server waits for the body"
        assert upload(api, base, "plan.md", b"# Plan\n\nThe quick one.").status_code == 202
        connection.sendall(body.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 409 ")
    assert upload(api, base, "plan.md", b"# Plan\n\nOne that came later.").status_code == 202


def test_server_accepts_uploads_after_a_hundred_interrupted_ones(
    cairn_server: Server, api: httpx.Client, base: str
) -> None:
    before, told = state(api, base), len(cairn_server.log)
    path = f"/api/v1/knowledge-bases/{base}/documents"
    for number in range(100):
        connection = opened(api)
        connection.sendall(head(api, path, "Content-Length: 100000", part(f"{number}.md")) + b"x" * 50_000)
        (reset if number % 2 else hang_up)(connection)
    assert state(api, base) == before
    answer = upload(api, base, "whole.md", b"# Whole\n\nNothing is missing.")
    assert answer.status_code == 202
    assert "Traceback" not in cairn_server.log[told:]
    assert json.loads(api.get("/readyz").text)["status"] == "ok"
