"""Any LlamaIndex postprocessor that scores nodes; sentence-transformers' cross-encoders among them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from llama_index.core.postprocessor import SentenceTransformerRerank
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from cairn.errors import Unavailable
from cairn.inference.embedding.pytorch import cuda_is_there, quiet_transformers
from cairn.inference.local_models import CANNOT_LOAD, CONFIG, ModelFolder
from cairn.inference.native_libraries import prepare_torch
from cairn.inference.reranking.deadline import MAX_TEXTS, MAX_TEXTS_ON_CPU
from cairn.settings.dotted_paths import create_dotted, is_dotted

_SETTING: Final = "RERANKER_MODEL"
_CPU_BATCH, _GPU_BATCH = 8, 64
_ASSUMED_POSITIONS: Final = 512  # what LlamaIndex's class cuts to, whatever the model takes


class PostprocessorScorer:
    """A Scorer for one query at a time: other packages' tokenizers and models may not be thread-safe."""

    at_once = 1
    languages = None

    def __init__(
        self,
        postprocessor: BaseNodePostprocessor,
        *,
        name: str,
        batch_texts: int,
        max_texts: int = MAX_TEXTS,
    ) -> None:
        self._postprocessor = postprocessor
        self.name = name
        self.max_texts = max_texts
        self.batch_texts = batch_texts
        if "top_n" in type(postprocessor).model_fields:
            postprocessor.top_n = batch_texts  # type: ignore[attr-defined]  # as the line before says

    def score(self, query: str, texts: Sequence[str], *, seconds: float) -> list[float]:  # noqa: ARG002
        """Score without a deadline: a batch cannot be interrupted."""
        nodes = [
            NodeWithScore(node=TextNode(id_=str(place), text=text), score=0.0)
            for place, text in enumerate(texts)
        ]
        found = self._postprocess_nodes(nodes, query)
        scores = {node.node.node_id: node.score for node in found}
        return [_number(scores.get(str(place))) for place in range(len(texts))]

    def close(self) -> None:
        """Do nothing: the memory is freed with the process."""

    def _postprocess_nodes(self, nodes: list[NodeWithScore], query: str) -> list[NodeWithScore]:
        try:
            return self._postprocessor.postprocess_nodes(nodes, QueryBundle(query))
        except Exception as error:  # a thread's outermost boundary, and code of others
            raise Unavailable(f"The reranker {self.name} failed: {error!r}") from error


def open_postprocessor(model: str) -> PostprocessorScorer:
    """`model`: folder or cached name of a cross-encoder, or dotted path of a LlamaIndex postprocessor."""
    if is_dotted(model):
        made = create_dotted(_SETTING, model, BaseNodePostprocessor)  # type: ignore[type-abstract]  # a base
        return PostprocessorScorer(made, name=model, batch_texts=MAX_TEXTS)
    return _cross_encoder(ModelFolder.of(_SETTING, model))


def _cross_encoder(folder: ModelFolder) -> PostprocessorScorer:
    prepare_torch()
    quiet_transformers()
    cuda = cuda_is_there()
    batch = _GPU_BATCH if cuda else _CPU_BATCH
    try:
        rerank = SentenceTransformerRerank(
            model=str(folder.path), top_n=batch, device="cuda" if cuda else "cpu", trust_remote_code=False
        )
    except CANNOT_LOAD as error:
        raise folder.build_error(error) from error
    encoder = rerank._model  # it offers no other way to the model's length and labels
    if encoder.num_labels != 1:
        raise folder.build_error(f"it gives {encoder.num_labels} numbers instead of a score")
    encoder.max_seq_length = min(_ASSUMED_POSITIONS, _positions(folder.path))
    most = MAX_TEXTS if cuda else MAX_TEXTS_ON_CPU
    return PostprocessorScorer(rerank, name=folder.name, batch_texts=batch, max_texts=most)


def _positions(folder: Path) -> int:
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return int(config.get("max_position_embeddings") or _ASSUMED_POSITIONS)


def _number(score: object) -> float:
    """Use NaN for missing and non-numeric scores, which the caller refuses."""
    try:
        return float(score)  # type: ignore[arg-type]  # that is what is found out here
    except (TypeError, ValueError):
        return float("nan")
