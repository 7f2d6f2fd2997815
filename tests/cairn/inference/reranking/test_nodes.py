"""LlamaIndex postprocessors as rerankers; cross-encoders on models that the tests make."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.reranking import TimelyReranker, open_reranker
from cairn.settings import Environment
from tests import tiny_models


class Shortest(BaseNodePostprocessor):
    """Ranks the shortest text first; like most rerankers, returns only the best `top_n`."""

    top_n: int = 2

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        for node in nodes:
            node.score = -float(len(node.node.get_content()))
        return sorted(nodes, key=lambda node: -(node.score or 0))[: self.top_n]


class DropsSome(BaseNodePostprocessor):
    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return nodes[1:]


class GoesWrong(BaseNodePostprocessor):
    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        raise AssertionError("out of tokens")


class NeedsArguments(Shortest):
    def __init__(self, where: str) -> None:
        super().__init__()


def opened(model: str) -> TimelyReranker:
    return open_reranker(Environment(reranker_model=model, reranker_timeout_seconds=60))


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimelyReranker]:
    folder = tmp_path_factory.mktemp("models") / "tiny-cross-encoder"
    reranker = opened(str(tiny_models.classifier(folder, {"LABEL_0": "yes"}, second=True)))
    yield reranker
    reranker.close()


def test_cross_encoder_scores_each_passage(cross_encoder: TimelyReranker) -> None:
    passages = ["parking free", "yes", "yes yes leave leave leave", "house"] * 6
    scores = cross_encoder.scores("yes leave?", passages)
    ranked = sorted(range(4), key=lambda place: -scores[place])
    assert ranked[:2] == [1, 2]
    assert scores == pytest.approx(scores[:4] * 6, abs=1e-5)
    assert cross_encoder.name == "tiny-cross-encoder"


@pytest.mark.parametrize("text", ["", "leave " * 5000, "\0", "🦀" * 900])
def test_cross_encoder_truncates_to_the_model_limit(cross_encoder: TimelyReranker, text: str) -> None:
    assert 0 <= cross_encoder.scores(text, [text])[0] <= 1


def test_classifier_is_rejected_as_reranker(tmp_path: Path) -> None:
    folder = tiny_models.classifier(tmp_path, {"A": "yes", "B": "no"}, second=True)
    with pytest.raises(ConfigurationError, match="2 numbers instead of a score"):
        opened(str(folder))


def test_folder_of_another_model_type_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ConfigurationError, match="RERANKER_MODEL"):
        opened(str(tmp_path))


def test_postprocessor_is_loaded_by_dotted_path() -> None:
    reranker = opened(f"{__name__}.Shortest")
    texts = ["x" * n for n in range(1, 41)]
    assert reranker.scores("leave", texts) == [-float(n) for n in range(1, 41)]
    reranker.close()


@pytest.mark.parametrize(("name", "what"), [("DropsSome", "did not give"), ("GoesWrong", "out of tokens")])
def test_failed_postprocessor_gives_no_scores(name: str, what: str) -> None:
    reranker = opened(f"{__name__}.{name}")
    with pytest.raises(Unavailable, match=what):
        reranker.scores("leave", ["a", "b"])
    reranker.close()


@pytest.mark.parametrize(
    "dotted",
    [
        "nowhere.Reranker",
        f"{__name__}.Missing",
        f"{__name__}.NeedsArguments",
        f"{__name__}.opened",
        "uuid.uuid4",
    ],
)
def test_unknown_postprocessor_path_is_named(dotted: str) -> None:
    with pytest.raises(ConfigurationError, match=f"RERANKER_MODEL {dotted}"):
        opened(dotted)
