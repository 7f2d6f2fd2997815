"""An OpenAI-compatible server with a language model that repeats sentences of the passages word for word.

`python -m tests.bench.served_model` in a process of its own: it must not slow down who measures.
"""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.bench import server as servers
from tests.cairn.inference.server import Body, Exchange, FakeServer

SENTENCES: Final = 4
SECONDS_PER_WORD: Final = 0.02
FIRST_TOKEN_SECONDS: Final = float(os.environ.get("BENCH_FIRST_TOKEN_SECONDS", "0"))
_PASSAGE = re.compile(r'^\[(\d+)\] [^\n]*\n"""\n(.*?)\n"""$', re.MULTILINE | re.DOTALL)
spoken: list[dict[str, Any]] = []  # of each answer: the time of its request, its words, and their times
_SENTENCE = re.compile(r"[A-Z][^.!?\n]{30,200}[.!?](?=\s|$)")


@contextmanager
def served_model() -> Iterator[dict[str, str]]:
    """Start the model server and return the settings with which Cairn uses it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.served_model"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=servers.ROOT,
    )
    assert process.stdout is not None
    try:
        yield {"LLM_BASE_URL": process.stdout.readline().strip(), "LLM_MODEL": "bench"}
    finally:
        process.terminate()
        process.wait(10)


def answer_to(prompt: str) -> str:
    """The sentences of the passages that have most words of the question, each with its marker."""
    asked = _words(prompt.rpartition("\nQuestion: ")[2])
    sentences = [
        (len(asked & _words(sentence)), f"{sentence[:-1]} [{number}]{sentence[-1]}")
        for place, text in _PASSAGE.findall(prompt)
        for number, sentence in sentences_of(int(place), text)
    ]
    best = sorted(sentences, key=lambda each: each[0], reverse=True)[:SENTENCES]
    return " ".join(sentence for _, sentence in best) or "The passages do not tell."


def _words(text: str) -> set[str]:
    """Return the beginnings of the words, so that "reimbursed" and "reimbursement" are equal."""
    return {word[:6] for word in re.findall(r"[a-z]{4,}", text.lower())}


def sentences_of(number: int, text: str) -> list[tuple[int, str]]:
    """Return the sentences of a passage, each with its number."""
    return [(number, sentence) for sentence in _SENTENCE.findall(text)]


def respond(exchange: Exchange) -> None:
    body: Body = exchange.body
    words = answer_to(str(body["messages"][-1]["content"])).split(" ")[: body.get("max_tokens") or None]
    times: list[float] = []
    spoken.append({"began": time.monotonic(), "words": words, "times": times})
    exchange.start_stream()
    time.sleep(FIRST_TOKEN_SECONDS)
    for word in words:
        time.sleep(SECONDS_PER_WORD)
        exchange.delta(f"{word} ")
        times.append(time.monotonic())
    exchange.done()


def main() -> None:
    parent = os.getppid()
    with FakeServer() as fake:
        fake.respond = respond
        fake.pages["/v1/spoken"] = spoken
        sys.stdout.write(f"{fake.url}\n")
        sys.stdout.flush()
        while os.getppid() == parent:
            threading.Event().wait(0.5)


if __name__ == "__main__":
    main()
