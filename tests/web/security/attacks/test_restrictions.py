"""A model cannot make a rule out of a passage by adding or dropping a word such as "only"."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from cairn.library.models import Document
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from retrieval.engine import Engine, use
from tests.bases import make_base
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller, caller_for, index, indexed, parts
from tests.web.security.attacks.recorder import Attack

__all__ = ["index", "parts"]
pytestmark = pytest.mark.django_db(transaction=True)

ALL = "Every visitor and every admin gets two badges at the gate."
ADMINS = "Only admins get two badges at the gate."
PARK = "You may park in the yard unless the barrier is down."
ALLE = "Alle Besucher und Administratoren erhalten zwei Ausweise am Tor."
CASES = [
    (ALL, "Only admins get two badges at the gate", "Every admin gets two badges at the gate"),
    (
        ALL,
        "Every visitor except admins gets two badges at the gate",
        "Every visitor gets two badges at the gate",
    ),
    (ALL, "Just admins get two badges at the gate", "Every admin gets two badges at the gate"),
    (ALL, "Two badges at the gate are exclusively for admins", "Every visitor and admin gets two badges"),
    (ADMINS, "Every visitor gets two badges at the gate", "Only admins get two badges at the gate"),
    (ADMINS, "Everyone gets two badges at the gate", "Only admins get two badges"),
    (ADMINS, "Only visitors get two badges at the gate", "Only admins get two badges at the gate"),
    (PARK, "You may park in the yard", "You may park in the yard unless the barrier is down"),
    (
        ALLE,
        "Nur Administratoren erhalten zwei Ausweise am Tor",
        "Alle Besucher erhalten zwei Ausweise am Tor",
    ),
    (
        ALLE,
        "Lediglich Besucher erhalten zwei Ausweise am Tor",
        "Alle Administratoren erhalten zwei Ausweise am Tor",
    ),
]


@pytest.fixture
def mia(parts: Engine) -> Caller:
    return caller_for("mia")


def document_saying(text: str, mia: Caller, parts: Engine) -> Document:
    base = make_base(name="Handbook", principal=mia.principal)
    file = SimpleUploadedFile("gate.md", f"# Gate\n\n{text}".encode())
    document = document_submit(Upload(file, "gate.md"), knowledge_base=base, principal=mia.principal).document
    indexed(document, parts, text)
    return document


def is_supported(mia: Caller, parts: Engine, question: str, claim: str) -> bool:
    """Return whether the model's sentence counted as supported and was shown."""
    with use(Engine(parts.embedder, parts.index, FakeChat(f"{claim} [1]."))):
        answer = mia.post("/ask", {"question": question}).json()
    supported = [each["text"] for each in answer["sentences"] if each["supported"]]
    counted = any(text.startswith(claim) and len(text) < len(claim) + 8 for text in supported)
    shown = any(f"{claim}{end}" in answer["answer"] for end in (" [1]", ".", "["))
    assert counted == shown, answer
    return counted


@pytest.mark.parametrize(("passage", "forged", "honest"), CASES, ids=[case[1] for case in CASES])
def test_unsupported_restriction_is_not_shown(
    mia: Caller, parts: Engine, attack: Attack, passage: str, forged: str, honest: str
) -> None:
    document_saying(passage, mia, parts)
    question = "Wer erhält zwei Ausweise am Tor?" if passage == ALLE else "Who gets two badges at the gate?"
    question = "May I park in the yard?" if passage == PARK else question
    attack.refused(not is_supported(mia, parts, question, forged))
    attack.allowed(is_supported(mia, parts, question, honest))
