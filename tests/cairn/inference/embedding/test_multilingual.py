"""The embedding model that is installed on request, if it is."""

from pathlib import Path

import numpy as np
import pytest

from cairn.inference.embedding import local_embedder
from cairn.inference.embedding.model_folder import MULTILINGUAL, EncoderFolder, installed_folder
from cairn.inference.protocols import Embedder
from cairn.settings import ROOT

pytestmark = [pytest.mark.models, pytest.mark.slow]
PASSAGES = (
    "Beschäftigte haben Anspruch auf 30 Tage Urlaub im Jahr.",
    "Les salariés doivent badger à l’entrée du bâtiment.",
    "The coffee machine on the second floor is cleaned every Friday.",
    "Los gastos de viaje se reembolsan en un plazo de dos semanas.",
    "El jefe de obra guarda las llaves del almacén.",
)
QUESTIONS = (
    "How many days of vacation do I get?",
    "Muss ich am Eingang meine Karte vorzeigen?",
    "Wann wird die Kaffeemaschine gereinigt?",
    "Quand mes frais de déplacement sont-ils remboursés ?",
    "Who has the keys to the storage room?",
)


@pytest.fixture(scope="module")
def multilingual(models_folder: Path) -> Embedder:
    path = installed_folder(MULTILINGUAL, ROOT / "var")
    if not path.is_dir():
        pytest.skip(f"{MULTILINGUAL} is not installed: run manage.py models install {MULTILINGUAL}")
    return local_embedder(EncoderFolder.of(str(path)), backend="openvino", models=models_folder)


def test_questions_find_passages_in_other_languages(multilingual: Embedder) -> None:
    vectors = multilingual.embed_documents(PASSAGES)
    cosines = np.array([vectors @ multilingual.embed_query(question) for question in QUESTIONS])
    assert cosines.argmax(axis=1).tolist() == [0, 1, 2, 3, 4]


def test_unrelated_texts_have_low_similarity(multilingual: Embedder) -> None:
    """The original's cosines are above 0.7 for any two texts."""
    vectors = multilingual.embed_documents(PASSAGES)
    unrelated = (vectors @ vectors.T)[np.triu_indices(len(PASSAGES), 1)]
    assert unrelated.mean() < 0.5
