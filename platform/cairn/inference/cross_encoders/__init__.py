"""Models that read a passage together with a question or a sentence."""

from cairn.inference.cross_encoders.classifier import EntailmentModel, InferenceReader, PairReader
from cairn.inference.cross_encoders.extractive_reader import SpanReader
from cairn.inference.cross_encoders.labels import entailment_labels
from cairn.inference.cross_encoders.transformer import PairNetwork
from cairn.inference.local_models import ModelFolder
from cairn.inference.protocols import AnswerReader, NaturalLanguageInference
from cairn.settings import Environment


def open_reader(environment: Environment) -> AnswerReader:
    """ANSWERABILITY_MODEL: a reader of spans, an NLI model or a cross-encoder, according to its files."""
    folder = ModelFolder.of("ANSWERABILITY_MODEL", environment.answerability_model or "")
    network = PairNetwork.load(folder)
    if network.answers_with_spans:
        return SpanReader(network)
    if entailment_labels(network.labels):
        return InferenceReader(EntailmentModel(folder, network))
    return PairReader(folder, network)


def open_inference(environment: Environment) -> NaturalLanguageInference:
    """GROUNDING_MODEL. Raises ConfigurationError unless a label means entailment."""
    folder = ModelFolder.of("GROUNDING_MODEL", environment.grounding_model or "")
    return EntailmentModel(folder, PairNetwork.load(folder))


__all__ = ["open_inference", "open_reader"]
