"""Models that an install may do without: None, or loaded when they are first asked for."""

from collections.abc import Sequence

from cairn.inference.protocols import AnswerReader, Inference, NaturalLanguageInference, Reranker
from cairn.inference.registry import answer_reader, language_inference, reranker
from cairn.inference.reranking import reranks
from cairn.settings import environment


def configured_reranker() -> Reranker | None:
    return ConfiguredReranker() if reranks(environment()) else None


def configured_reader() -> AnswerReader | None:
    return ConfiguredReader() if environment().answerability_model else None


def configured_inference() -> NaturalLanguageInference | None:
    return ConfiguredInference() if environment().grounding_model else None


class ConfiguredReranker:
    @property
    def name(self) -> str:
        return reranker().name

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        return reranker().scores(query, texts)


class ConfiguredReader:
    @property
    def name(self) -> str:
        return answer_reader().name

    def answerable(self, question: str, passages: Sequence[str]) -> list[float]:
        return answer_reader().answerable(question, passages)


class ConfiguredInference:
    @property
    def name(self) -> str:
        return language_inference().name

    def infer(self, pairs: Sequence[tuple[str, str]]) -> list[Inference]:
        return language_inference().infer(pairs)
