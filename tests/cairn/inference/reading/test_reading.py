"""The code that loads readers and NLI models, on models that the tests make."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.cross_encoders import open_inference, open_reader
from cairn.inference.protocols import AnswerReader, NaturalLanguageInference
from cairn.settings import Environment
from tests import tiny_models

LONG = "parking free " * 200
SURE, UNSURE = 0.9, 0.5


def reader(folder: Path) -> AnswerReader:
    return open_reader(Environment(answerability_model=str(folder)))


def inference(folder: Path) -> NaturalLanguageInference:
    return open_inference(Environment(grounding_model=str(folder)))


@pytest.fixture(scope="module")
def spans(tmp_path_factory: pytest.TempPathFactory) -> AnswerReader:
    return reader(tiny_models.span_reader(tmp_path_factory.mktemp("spans")))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> AnswerReader:
    return reader(tiny_models.classifier(tmp_path_factory.mktemp("pairs"), {"LABEL_0": "yes"}, second=True))


@pytest.fixture(scope="module")
def nli_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Looks at the premise."""
    labels = {"NEUTRAL": "parking", "Contradiction": "no", "entailment": "yes"}
    return tiny_models.classifier(tmp_path_factory.mktemp("nli"), labels, second=False)


@pytest.fixture(scope="module")
def nli(nli_folder: Path) -> NaturalLanguageInference:
    return inference(nli_folder)


def test_span_reader_compares_its_best_span_with_no_answer(spans: AnswerReader) -> None:
    holds, lacks, empty = spans.answerable("annual leave?", ["staff get yes", "staff get leave", ""])
    assert holds > UNSURE > lacks
    assert empty == 0.0


def test_repeated_word_of_the_question_does_not_answer_it(spans: AnswerReader) -> None:
    assert spans.answerable("yes yes?", ["staff get leave"])[0] < UNSURE


def test_cross_encoder_scores_question_and_passage(pairs: AnswerReader) -> None:
    holds, lacks = pairs.answerable("yes?", ["yes", "staff get leave"])
    assert holds > SURE
    assert lacks < 1 - SURE


@pytest.mark.parametrize("label", [1, 0])
def test_second_of_two_classes_means_an_answer(tmp_path: Path, label: int) -> None:
    words = {"LABEL_0": "parking", "LABEL_1": "yes"}
    model = reader(tiny_models.classifier(tmp_path, words, second=True))
    text = list(words.values())[label]
    assert (model.answerable("leave?", [text])[0] > UNSURE) == bool(label)


def test_nli_model_reads_the_passage_as_premise(nli_folder: Path) -> None:
    """Both what follows and what is ruled out are answers; what is neither is none."""
    model = reader(nli_folder)
    yes, no, neither = model.answerable("yes?", ["yes", "no", "parking"])
    assert yes > SURE
    assert no > SURE
    assert neither < UNSURE


@pytest.mark.parametrize("answer", ["yes " * 30 + LONG, LONG + "yes " * 30, LONG + "yes " * 30 + LONG])
def test_long_passage_is_read_completely(
    spans: AnswerReader, pairs: AnswerReader, nli: NaturalLanguageInference, answer: str
) -> None:
    for model in (spans, pairs):
        holds, lacks = model.answerable("annual leave? " * 100, [answer, LONG])
        assert holds > UNSURE > lacks
    entailed, not_entailed = nli.infer([(answer, "leave " * 500), (LONG, "leave " * 500)])
    assert entailed.entailment > UNSURE > not_entailed.entailment


def test_many_passages_preserve_their_order(pairs: AnswerReader) -> None:
    passages = ["yes " * n if n % 3 else "parking " * n for n in range(50)]
    sure = [probability > UNSURE for probability in pairs.answerable("leave?", passages)]
    assert sure == [bool(n % 3) for n in range(50)]
    assert pairs.answerable("leave?", []) == []


def test_labels_are_found_by_name(nli: NaturalLanguageInference) -> None:
    yes, no, neither = nli.infer([("yes", "leave"), ("no", "leave"), ("parking", "yes")])
    assert yes.entailment > SURE > yes.contradiction
    assert no.contradiction > SURE > no.entailment
    assert max(neither.entailment, neither.contradiction) < UNSURE


def test_models_of_two_classes_know_no_contradiction(tmp_path: Path) -> None:
    labels = {"not_entailment": "no", "entailment": "yes"}
    model = inference(tiny_models.classifier(tmp_path, labels, second=False))
    yes, no = model.infer([("yes", "leave"), ("no", "leave")])
    assert yes.entailment > SURE > no.entailment
    assert no.contradiction == 0.0


def test_families_without_token_types_and_with_shifted_positions(tmp_path: Path) -> None:
    labels = ["contradiction", "neutral", "entailment"]
    model = inference(tiny_models.classifier_without_types(tmp_path, labels))
    for found in model.infer([(LONG, "leave"), ("", "")]):
        assert 0 < found.entailment < 1


@pytest.mark.parametrize("text", ["\ud800", "\0", "", "🦀" * 9000, "x" * 100_000, "[SEP] [CLS] [PAD]"])
def test_strange_texts(spans: AnswerReader, nli: NaturalLanguageInference, text: str) -> None:
    assert 0 <= spans.answerable(text, [text])[0] <= 1
    assert 0 <= nli.infer([(text, text)])[0].entailment <= 1


def test_threads_may_share_a_model(pairs: AnswerReader) -> None:
    passages = ["yes", "parking free", "no"] * 8
    alone = pairs.answerable("leave?", passages)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: pairs.answerable("leave?", passages), range(12)):
            assert found == pytest.approx(alone, abs=1e-6)


def damaged(folder: Path, **config: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return folder


def without_weights(folder: Path) -> Path:
    (folder / "model.safetensors").unlink()
    return folder


def with_cut_weights(folder: Path) -> Path:
    (folder / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    return folder


def without_tokenizer(folder: Path) -> Path:
    for path in folder.glob("token*"):
        path.unlink()
    return folder


@pytest.mark.parametrize(
    "spoil",
    [
        without_weights,
        with_cut_weights,
        without_tokenizer,
        lambda folder: damaged(folder, architectures=["BertForMaskedLM"]),
        lambda folder: damaged(folder, architectures=None),
        lambda folder: damaged(folder, model_type="no-such-model"),
        lambda folder: damaged(folder, hidden_size=32),
    ],
)
def test_unloadable_model_is_named_with_its_setting(tmp_path: Path, spoil: Callable[[Path], Path]) -> None:
    folder = spoil(tiny_models.classifier(tmp_path / "spoilt", {"LABEL_0": "yes"}, second=True))
    with pytest.raises(ConfigurationError, match="ANSWERABILITY_MODEL spoilt cannot be used"):
        reader(folder)


@pytest.mark.parametrize("labels", [["LABEL_0", "LABEL_1", "LABEL_2"], ["yes"], ["not_entailment", "x"]])
def test_labels_without_entailment_are_rejected(tmp_path: Path, labels: list[str]) -> None:
    folder = tiny_models.classifier(tmp_path, dict.fromkeys(labels, "yes"), second=False)
    with pytest.raises(ConfigurationError, match=f"GROUNDING_MODEL .*{labels[0]}"):
        inference(folder)


def test_span_reader_is_rejected_as_grounding_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="GROUNDING_MODEL"):
        inference(tiny_models.span_reader(tmp_path))


def test_unnamed_classes_beyond_two_are_rejected(tmp_path: Path) -> None:
    folder = tiny_models.classifier(tmp_path, {"A": "yes", "B": "no", "C": "house"}, second=True)
    with pytest.raises(ConfigurationError, match="A, B, C"):
        reader(folder)


def test_invalid_scores_are_reported(tmp_path: Path) -> None:
    folder = tiny_models.classifier(tmp_path, {"LABEL_0": "yes"}, second=True, scale=float("nan"))
    with pytest.raises(Unavailable, match="invalid numbers"):
        reader(folder).answerable("leave?", ["yes"])
