import numpy as np

from retrieval.answering.remembering import Remembering
from tests.fakes import FakeEmbedder


def test_no_text_is_embedded_twice() -> None:
    real = FakeEmbedder()
    remembering = Remembering(real)
    first = remembering.embed_documents(["a day", "a week", "a day"])
    second = remembering.embed_documents(["a week", "a month"])
    assert real.batches == [2, 1]
    assert np.array_equal(first[1], second[0])
    assert np.array_equal(first[0], real.embed_query("a day"))
