"""Small talk is recognised as such, and nothing else is."""

import pytest

from retrieval.answering.text.refusals import REPLY_LANGUAGES
from retrieval.answering.text.small_talk import SmallTalk, TalkKind, recognise_small_talk
from retrieval.answering.text.small_talk_replies import render_knowledge_bases, render_reply


@pytest.mark.parametrize(
    ("message", "kind", "language"),
    [
        ("hi", "greeting", "en"),
        ("Hi there!", "greeting", "en"),
        ("good morning 👋", "greeting", "en"),
        ("Hallo", "greeting", "de"),
        ("GRÜSS GOTT", "greeting", "de"),
        ("Bonjour !", "greeting", "fr"),
        ("¡Hola!", "greeting", "es"),
        ("Olá", "greeting", "pt"),
        ("goedemorgen", "greeting", "nl"),
        ("hej", "greeting", "da"),
        ("buongiorno", "greeting", "it"),
        ("thanks!", "thanks", "en"),
        ("Thanks for your help, great!", "thanks", "en"),
        ("merci", "thanks", "fr"),
        ("d’accord, merci", "thanks", "fr"),
        ("danke schön", "thanks", "de"),
        ("bye", "farewell", "en"),
        ("Thank you, bye!", "farewell", "en"),
        ("Tschüss", "farewell", "de"),
        ("how are you", "wellbeing", "en"),
        ("Hello, how’s it going?", "wellbeing", "en"),
        ("Hallo, wie geht's?", "wellbeing", "de"),
        ("who are you?", "identity", "en"),
        ("Wer bist du?", "identity", "de"),
        ("hi, who are you?", "identity", "en"),
        ("what can you do?", "help", "en"),
        ("help", "help", "en"),
        ("Hilfe!", "help", "de"),
        ("Qu’est-ce que tu peux faire ?", "help", "fr"),
    ],
)
def test_small_talk_is_recognised(message: str, kind: str, language: str) -> None:
    assert recognise_small_talk(message) == SmallTalk(TalkKind(kind), language)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "message",
    [
        "hi, how many vacation days do I have?",
        "thanks, and for contractors?",
        "hello world program",
        "What does Hello say?",
        "Summarize Hello",
        "hello.py",
        "help desk",
        "help with my expenses",
        "who are you allowed to invite?",
        "how are you paid?",
        "what can you do about noise?",
        "what documents do you have?",
        "Hi-Fi",
        "thank-you notes",
        "and",
        "please",
        "",
        "?",
        "👋",
        "hi " * 15,
        "hi" * 5000,
    ],
)
def test_other_messages_are_questions(message: str) -> None:
    assert recognise_small_talk(message) is None


def test_ambiguous_phrase_uses_the_preferred_language() -> None:
    assert recognise_small_talk("hi", "de") == SmallTalk(TalkKind.GREETING, "de")
    assert recognise_small_talk("hallo", "nl") == SmallTalk(TalkKind.GREETING, "nl")
    assert recognise_small_talk("merci", "de") == SmallTalk(TalkKind.THANKS, "fr")


def test_every_reply_is_written_in_every_language() -> None:
    for language in REPLY_LANGUAGES:
        replies = {render_reply(SmallTalk(kind, language)) for kind in TalkKind}
        assert len(replies) == len(TalkKind)
        assert "Travel, Pay" in render_knowledge_bases(["Travel", "Pay"], language)
        assert "Travel" not in render_knowledge_bases([], language)
    assert len({render_knowledge_bases([], language) for language in REPLY_LANGUAGES}) == len(REPLY_LANGUAGES)


def test_names_of_knowledge_bases_are_text_and_few() -> None:
    text = render_knowledge_bases([f"Base {n}" for n in range(20)], "en")
    assert text.endswith("Base 7, 12 more.")
    assert "](" not in render_knowledge_bases(["[Pay](https://evil.example)"], "en")
    assert "<img" not in render_knowledge_bases(["<img src=x>"], "en")
