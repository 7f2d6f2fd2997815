"""Code of a document, from its upload to a quote of it."""

from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import docx
import pypdfium2
import pytest

from cairn.library.models import Chunk, KnowledgeBase
from ingestion.parse import parser_pool
from ingestion.parse.sandbox.pool import ParserPool
from ingestion.pipeline import run
from retrieval.engine import Engine
from tests.web.api.conftest import Caller
from tests.web.working import files_on_disk

pytestmark = pytest.mark.django_db(transaction=True)

QUESTION = "How do I connect to the vpn on linux?"
CODE = "sudo apt-get install openconnect\nsudo openconnect --protocol=anyconnect vpn.example.com"
QUOTED = f"> ```\n> {CODE}\n> ```".replace("\nsudo", "\n> sudo")
MARKDOWN = f"""# VPN

## Linux

Install the vpn client on linux, then connect:

```
{CODE}
```

The connection ends after twelve hours.
"""
HTML = f"""<title>VPN</title><h1>VPN</h1><h2>Linux</h2>
<p>Install the vpn client on linux, then connect:</p>
<div class="highlight"><pre><code>{CODE.replace("sudo", "<b>sudo</b>")}
</code></pre></div><p>The connection ends after twelve hours.</p>"""
RST = f"""VPN
===

Linux
-----

Install the vpn client on linux, then connect::

    {CODE.replace(chr(10), chr(10) + "    ")}

The connection ends after twelve hours.
"""
STEPS = """# VPN on linux

1. Install the vpn client on linux:

   ```sh
   cat clients | grep vpn > ~/client_list
   if [ -f client ]; then
     install client[1]
   fi
   ```

2. Connect with your *usual* password:

   - at home
   - in the office

| place | vpn |
|---|---|
| home | yes |
| office | no |
"""


@pytest.fixture(autouse=True)
def files_in_memory(settings: Any, tmp_path: Path) -> None:
    """Store files on disk for once."""
    files_on_disk(settings, tmp_path / "files")


@pytest.fixture(autouse=True)
def quoting(admin: Caller, parts: Engine, pool: ParserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are quotes, as in a new installation."""
    monkeypatch.setattr(parser_pool, "_pool", pool)
    profile = {"writes": False, "prompt_version": "answer-1", "evidence_tokens": 500, "judges": False}
    assert admin.put("/answer-profile", {"profile": profile}).status_code == 200


def ingest(mia: Caller, base: KnowledgeBase, name: str, text: str) -> None:
    answer = mia.upload(str(base.id), name, text.encode()).json()
    run.run(UUID(answer["job"]["id"]))
    assert mia.get(f"/documents/{answer['document']['id']}").json()["status"] == "ready"


def ask(mia: Caller) -> dict[str, Any]:
    answer: dict[str, Any] = mia.post("/ask", {"question": QUESTION}).json()
    assert answer["mode"] == "extractive", answer
    return answer


@pytest.mark.parametrize(("name", "text"), [("vpn.md", MARKDOWN), ("vpn.html", HTML), ("vpn.rst", RST)])
def test_code_is_quoted_unchanged_with_its_lead_in(
    mia: Caller, base: KnowledgeBase, name: str, text: str
) -> None:
    ingest(mia, base, name, text)
    answer = ask(mia)
    lead = "Install the vpn client on linux, then connect:"
    assert answer["answer"].startswith(f"> {lead}\n>\n{QUOTED}\n\n[1]")
    assert answer["citations"][0]["quote"] == f"{lead}\n\n{CODE}"


def test_command_is_recognised_in_a_document_without_code_spans(mia: Caller, base: KnowledgeBase) -> None:
    ingest(mia, base, "vpn.md", MARKDOWN)
    assert Chunk.objects.update(code=None) == 1
    assert QUOTED in ask(mia)["answer"]


def test_code_in_a_list_splits_items_and_is_not_escaped(mia: Caller, base: KnowledgeBase) -> None:
    ingest(mia, base, "vpn.md", STEPS)
    answer = ask(mia)["answer"]
    assert (
        "> 1. Install the vpn client on linux:\n>\n> ```\n> cat clients | grep vpn > ~/client_list\n"
        "> if [ -f client ]; then\n>   install client[1]\n> fi\n> ```\n>\n"
        "> 2. Connect with your usual password:\n>\n> - at home\n> - in the office"
    ) in answer


def test_code_spans_leave_passages_unchanged(mia: Caller, base: KnowledgeBase) -> None:
    ingest(mia, base, "vpn.md", MARKDOWN)
    [chunk] = Chunk.objects.all()
    lead = "Install the vpn client on linux, then connect:"
    assert chunk.text == f"{lead}\n\n{CODE}\n\nThe connection ends after twelve hours."
    assert [chunk.text[start:end] for start, end in chunk.code or ()] == [CODE]


def test_copies_and_exports_have_the_code(mia: Caller, base: KnowledgeBase) -> None:
    ingest(mia, base, "vpn.md", STEPS)
    answer = ask(mia)
    export = f"/conversations/{answer['conversation']}/export?format="
    line = "cat clients | grep vpn > ~/client_list"
    for copied in (mia.get(f"/messages/{answer['id']}/markdown"), mia.get(f"{export}markdown")):
        assert f"> ```\n> {line}\n> if [ -f client ]; then\n>   install" in copied.content.decode()
    paragraphs = docx.Document(BytesIO(mia.get(f"{export}docx").content)).paragraphs
    [code] = [each for each in paragraphs if each.runs and each.runs[0].font.name == "Courier New"]
    assert code.text == f"{line}\nif [ -f client ]; then\n  install client[1]\nfi"
    with pypdfium2.PdfDocument(mia.get(f"{export}pdf").content) as document:
        written = document[0].get_textpage().get_text_bounded().splitlines()
    assert {line, "if [ -f client ]; then", "fi"} <= {each.strip() for each in written}


def test_number_in_code_is_not_a_citation(mia: Caller, base: KnowledgeBase) -> None:
    ingest(mia, base, "vpn.md", STEPS)
    response = mia.client.post(
        "/v1/chat/completions",
        {"model": "cairn", "messages": [{"role": "user", "content": QUESTION}]},
        content_type="application/json",
        headers={"Authorization": f"Bearer {mia.key}"},
    )
    message = response.json()["choices"][0]["message"]
    assert "client[1]" in message["content"]
    starts = [each["url_citation"]["start_index"] for each in message["annotations"]]
    assert len(starts) == len(response.json()["citations"])
    assert message["content"].index("[1]") not in starts
