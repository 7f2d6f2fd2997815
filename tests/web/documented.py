"""Commands and programs that the documentation shows, and whether the answers that they get make sense."""

import re
import subprocess
import sys
from pathlib import Path

from markdown_it import MarkdownIt

from tests.servers import ROOT, Server, server_environment

ADDRESS = "http://127.0.0.1:8000"
FACTS = {
    "How do I upload documents?": "drop files, whole folders or ZIP archives onto the page",
    "Who can see my conversations?": "Only you can see your conversations",
}
"""What an answer to a question of the documentation has to say."""
_MARKER = re.compile(r"\[\d+\]")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_PHRASE_WORDS = 4


def blocks(page: str) -> list[str]:
    """The commands and programs of a page, named by its path below the project folder."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [token.content for token in MarkdownIt().parse(text) if token.type == "code_block"]


def typed(server: Server, block: str) -> str:
    return block.replace(ADDRESS, server.url).replace(".venv/bin/python", sys.executable)


def run(server: Server, *command: str, folder: Path = ROOT, **variables: str) -> str:
    process = subprocess.run(
        command,
        env=server_environment(server.data_dir) | {"PATH": "/usr/bin:/bin"} | variables,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def assert_answers(answer: str, question: str) -> None:
    """The answer contains the expected fact, and no sentence or phrase twice."""
    fact = FACTS[question]
    plain = " ".join(_MARKER.sub("", answer).split())
    assert fact in plain, f"not an answer to “{question}”: {answer}"
    sentences = [" ".join(_words(each)) for each in _SENTENCE_END.split(_MARKER.sub("", answer))]
    nonempty = [sentence for sentence in sentences if sentence]
    assert len(nonempty) == len(set(nonempty)), answer
    for sentence in nonempty:
        words = sentence.split()
        phrases = [tuple(words[at : at + _PHRASE_WORDS]) for at in range(len(words) - _PHRASE_WORDS + 1)]
        assert len(phrases) == len(set(phrases)), f"says the same thing twice: {sentence}"


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
