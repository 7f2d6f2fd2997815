"""A running install over REST: the real index, embedding model and language model."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fpdf import FPDF

from tests.conftest import Server

pytestmark = [pytest.mark.models, pytest.mark.slow]

LEAVE = """---
title: Parental leave
---
# Parental leave

Employees may take sixteen weeks of paid parental leave within a year of the birth of a child.

## How to apply

Send form PL-7 to the Orchard desk at least thirty days before the leave begins.
"""
QUESTION = "How many weeks of paid parental leave may employees take?"
PATIENCE = 120


def key_of(server: Server, user: str = "admin") -> str:
    made = server.manage("create_api_key", "--user", user, "--name", "test", "--json")
    assert made.returncode == 0, made.stderr
    key: str = json.loads(made.stdout)["key"]
    return key


class Api:
    """A person with a key; paths are below /api/v1."""

    def __init__(self, server: Server, user: str = "admin") -> None:
        self.http = httpx.Client(
            base_url=server.url, headers={"Authorization": f"Bearer {key_of(server, user)}"}, timeout=120
        )

    def ok(self, method: str, path: str, **body: Any) -> Any:
        answer = self.http.request(method, f"/api/v1{path}", **body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def status(self, method: str, path: str, **body: Any) -> int:
        return self.http.request(method, f"/api/v1{path}", **body).status_code

    def upload(self, base: str, name: str, data: bytes) -> Any:
        """The document, after its job has ended."""
        sent = self.ok("POST", f"/knowledge-bases/{base}/documents", files={"file": (name, data)})
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            job = self.ok("GET", f"/jobs/{sent['job']['id']}")
            if job["stage"] in {"ready", "failed", "cancelled"}:
                return self.ok("GET", f"/documents/{sent['document']['id']}")
            time.sleep(0.1)
        pytest.fail(f"{name} is still {job['stage']}")

    def ask(self, question: str, **fields: Any) -> Any:
        return self.ok("POST", "/ask", json={"question": question, **fields})

    def search(self, query: str, **fields: Any) -> list[Any]:
        found: list[Any] = self.ok("POST", "/search", json={"query": query, **fields})["results"]
        return found


@pytest.fixture(scope="module")
def admin(cairn_server: Server) -> Iterator[Api]:
    api = Api(cairn_server)
    yield api
    api.http.close()


@pytest.fixture
def base(admin: Api) -> str:
    made: str = admin.ok("POST", "/knowledge-bases", json={"name": f"Base {uuid.uuid4().hex[:6]}"})["id"]
    return made


@pytest.fixture
def someone(admin: Api, cairn_server: Server) -> Iterator[Callable[[], tuple[str, Api]]]:
    made: list[Api] = []

    def make() -> tuple[str, Api]:
        name = f"user-{uuid.uuid4().hex[:6]}"
        user = admin.ok("POST", "/users", json={"username": name})
        made.append(Api(cairn_server, name))
        return user["id"], made[-1]

    yield make
    for api in made:
        api.http.close()


def test_question_gets_a_cited_answer(admin: Api, base: str) -> None:
    document = admin.upload(base, "leave.md", LEAVE.encode())
    assert (document["status"], document["title"]) == ("ready", "Parental leave")
    answer = admin.ask(QUESTION, knowledge_bases=[base])
    assert answer["verdict"] in {"supported", "partial"}
    assert "sixteen" in answer["answer"] or "16" in answer["answer"]
    assert {citation["document"] for citation in answer["citations"]} == {document["id"]}
    for citation in answer["citations"]:
        assert f"[{citation['marker']}]" in answer["answer"]
        assert citation["quote"] in LEAVE


def test_question_outside_the_documents_is_refused(admin: Api, base: str) -> None:
    admin.upload(base, "leave.md", LEAVE.encode())
    answer = admin.ask("What is the cafeteria's lunch menu on Fridays?", knowledge_bases=[base])
    assert (answer["verdict"], answer["mode"], answer["citations"]) == ("refused", "none", [])
    assert answer["reason"]


def test_sources_precede_the_text_and_the_answer_comes_last(admin: Api, base: str) -> None:
    admin.upload(base, "leave.md", LEAVE.encode())
    body = {"question": QUESTION, "knowledge_bases": [base], "stream": True}
    with admin.http.stream("POST", "/api/v1/ask", json=body) as answer:
        events = [line.removeprefix("event: ") for line in answer.iter_lines() if line.startswith("event: ")]
    assert events[:2] == ["start", "sources"]
    assert events[-1] == "done"
    assert events.index("delta") > 1


def test_grant_and_revocation_apply_to_the_next_question(
    admin: Api, base: str, someone: Callable[[], tuple[str, Api]]
) -> None:
    document = admin.upload(base, "leave.md", LEAVE.encode())
    user, reader = someone()

    def sees_nothing() -> None:
        answer = reader.ask(QUESTION)
        assert answer["verdict"] == "refused"
        for text in ("Parental", "sixteen", document["id"], "leave.md"):
            assert text not in json.dumps(answer).replace(QUESTION, "")
        assert document["id"] not in json.dumps(reader.search(QUESTION))
        for path in ("", "/content", "/rendition", "/pages/1.png"):
            assert reader.status("GET", f"/documents/{document['id']}{path}") == 404
        assert reader.status("GET", f"/knowledge-bases/{base}") == 404

    sees_nothing()
    grants = admin.ok("GET", f"/knowledge-bases/{base}/grants")
    mine = [{"subject": f"user:{user}", "role": "reader"}]
    admin.ok("PUT", f"/knowledge-bases/{base}/grants", json=[*grants, *mine])
    answer = reader.ask(QUESTION)
    assert answer["verdict"] in {"supported", "partial"}
    admin.ok("PUT", f"/knowledge-bases/{base}/grants", json=grants)
    sees_nothing()
    kept = reader.ok("GET", f"/conversations/{answer['conversation']}")
    assert "sixteen" not in json.dumps(kept)
    assert "16" not in kept["messages"][0]["answer"]


def test_replaced_text_is_not_found(admin: Api, base: str) -> None:
    admin.upload(base, "leave.md", LEAVE.encode())
    document = admin.upload(base, "leave.md", LEAVE.replace("sixteen", "twenty").encode())
    assert document["version"] == 2
    texts = [hit["text"] for hit in admin.search(QUESTION, knowledge_bases=[base])]
    assert any("twenty" in text for text in texts)
    assert not any("sixteen" in text for text in texts)


def test_deleted_document_disappears_from_the_next_search(admin: Api, base: str) -> None:
    document = admin.upload(base, "leave.md", LEAVE.encode())
    asked = admin.ask(QUESTION, knowledge_bases=[base])
    receipt = admin.ok("DELETE", f"/documents/{document['id']}")["receipt"]
    assert admin.search(QUESTION, knowledge_bases=[base]) == []
    assert admin.status("GET", f"/documents/{document['id']}") == 404
    give_up = time.monotonic() + PATIENCE
    while receipt["state"] != "done" and time.monotonic() < give_up:
        time.sleep(0.2)
        receipt = admin.ok("GET", f"/receipts/{receipt['id']}")
    assert receipt["removed"]["points"] == receipt["removed"]["chunks"] == document["chunks"]
    assert receipt["verified_at"]
    kept = admin.ok("GET", f"/conversations/{asked['conversation']}")
    assert "sixteen" not in json.dumps(kept)


def test_pdf_is_cited_with_page_and_boxes(admin: Api, base: str) -> None:
    document = admin.upload(base, "rules.pdf", two_pages())
    assert (document["pages"], document["media_type"]) == (2, "application/pdf")
    answer = admin.ask("Who signs the Marmot permit?", knowledge_bases=[base])
    citation = next(item for item in answer["citations"] if "Marmot" in item["quote"])
    assert citation["page"] == 2
    assert all(0 <= edge <= 1 for box in citation["boxes"] for edge in box)
    assert citation["boxes"]
    picture = admin.http.get(f"/api/v1/documents/{document['id']}/pages/2.png")
    assert picture.content.startswith(b"\x89PNG")
    assert admin.status("GET", f"/documents/{document['id']}/pages/3.png") == 404


def two_pages() -> bytes:
    pdf = FPDF()
    pdf.set_font("Helvetica", size=12)
    for text in ("The office opens at nine.", "The Marmot permit is signed by the head of facilities."):
        pdf.add_page()
        pdf.multi_cell(0, 8, text)
    return bytes(pdf.output())


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("empty.txt", b"", "empty_file"),
        ("program.txt", b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 8, "type_mismatch"),
        ("broken.pdf", b"%PDF-1.7\n" + b"garbage " * 50, "damaged_file"),
        ("front.md", b"---\ntitle: Nothing\n---\n", "no_text"),
        ("song.mp3", b"ID3\x03\x00" + b"\0" * 64, "unsupported_type"),
    ],
)
def test_bad_file_has_an_error_and_the_next_one_works(
    admin: Api, base: str, name: str, data: bytes, code: str
) -> None:
    bad = admin.upload(base, name, data)
    assert (bad["status"], bad["error"]["code"]) == ("failed", code)
    assert len(bad["error"]["message"]) > 20
    assert admin.search("anything at all", knowledge_bases=[base]) == []
    assert admin.upload(base, "good.txt", b"A good file.")["status"] == "ready"
