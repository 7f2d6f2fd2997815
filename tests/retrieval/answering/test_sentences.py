import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.answering.text.sentences import MAX_SENTENCE, Kind, SentenceStream, split_sentences


def bodies(text: str) -> list[str]:
    return [f"{unit.prefix}{unit.body}" for unit in split_sentences(text)]


CASES = [
    ("One. Two! Three?", ["One.", "Two!", "Three?"]),
    ("Ask Dr. Smith, e.g. by mail. He knows.", ["Ask Dr. Smith, e.g. by mail.", "He knows."]),
    ("It costs 3.50 dollars. Or 1.000,50 Euro.", ["It costs 3.50 dollars.", "Or 1.000,50 Euro."]),
    ("J. R. R. Tolkien wrote it. True.", ["J. R. R. Tolkien wrote it.", "True."]),
    ("The U.S. Government pays. The U.S. The end.", ["The U.S. Government pays.", "The U.S.", "The end."]),
    ("See No. 5 for it. The answer is no. Then go.", ["See No. 5 for it.", "The answer is no.", "Then go."]),
    ("Go to https://a.example/b.c?d=e. Log in.", ["Go to https://a.example/b.c?d=e.", "Log in."]),
    ("Am 3. Mai beginnt es. Das gilt z. B. hier.", ["Am 3. Mai beginnt es.", "Das gilt z. B. hier."]),
    ("It began in 2014. Then it grew.", ["It began in 2014.", "Then it grew."]),
    ("Wait... what? Fine.", ["Wait... what?", "Fine."]),
    ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
    ("Yes. [1] No [2]. Maybe. [3][4] End", ["Yes. [1]", "No [2].", "Maybe. [3][4]", "End"]),
    ("今日は晴れ。明日は雨！そう？", ["今日は晴れ。", "明日は雨！", "そう？"]),
    ("Steps:\n1. Go in.\n2. Come out.", ["Steps:", "1. Go in.", "2. Come out."]),
    ("- one\n- two\n\nEnd.", ["- one", "- two", "End."]),
    ("A line that\ngoes on. Next.", ["A line that\ngoes on.", "Next."]),
    ("# Title\nText.", ["# Title", "Text."]),
    ("He works at Acme Inc. in Bonn. So does she.", ["He works at Acme Inc. in Bonn.", "So does she."]),
    ("Open till 5 p.m. The door shuts then.", ["Open till 5 p.m.", "The door shuts then."]),
    ("Frau Dr. Weiß, Abs. 2 Nr. 4 u. a. gilt. Ja.", ["Frau Dr. Weiß, Abs. 2 Nr. 4 u. a. gilt.", "Ja."]),
    ("Er sagte: „Komm.“ Sie kam. »Gut.« Ende", ["Er sagte: „Komm.“", "Sie kam.", "»Gut.«", "Ende"]),
    ("Mail to a.b@c.example. Or to d@e.example!", ["Mail to a.b@c.example.", "Or to d@e.example!"]),
    ("Version 1.2.3 is out. It has v2.0.", ["Version 1.2.3 is out.", "It has v2.0."]),
    ("彼は「行け。」と言った。はい。", ["彼は「行け。」", "と言った。", "はい。"]),
    ("كم يوما؟ خمسة أيام. نعم!", ["كم يوما؟", "خمسة أيام.", "نعم!"]),
    ("छुट्टी मिलती है। पाँच दिन॥ हाँ।", ["छुट्टी मिलती है।", "पाँच दिन॥", "हाँ।"]),
    ("Це правило. Так. 25 днів.", ["Це правило.", "Так.", "25 днів."]),
    ("## 2. Leave. Rules\nText.", ["## 2. Leave. Rules", "Text."]),
    ("It is in [1](https://x.example/a.b) Then. So", ["It is in [1](https://x.example/a.b) Then.", "So"]),
    ("End. [1](https://x.example/a.b) Then", ["End. [1](https://x.example/a.b)", "Then"]),
    ("See [the note. It helps.", ["See [the note.", "It helps."]),
    ("| a. B | c |\n|---|---|\nEnd.", ["| a. B | c |\n|---|---|", "End."]),
    ("~~~\n```\nx. Y\n~~~\nEnd.", ["~~~\n```\nx. Y\n~~~", "End."]),
    ("", []),
    (" \n\n ", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_cuts_into_sentences(text: str, expected: list[str]) -> None:
    assert bodies(text) == expected


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize(("text", "expected"), CASES)
def test_streamed_sentences_equal_complete_ones(text: str, expected: list[str], size: int) -> None:
    stream = SentenceStream()
    units = [unit for at in range(0, len(text), size) for unit in stream.feed(text[at : at + size])]
    assert [f"{unit.prefix}{unit.body}" for unit in units + stream.close()] == expected


_ATOMS = [
    "Employees earn 25 days",
    "It",
    "a",
    "B",
    "5",
    "Mai",
    "May ",
    "no",
    " ",
    "  ",
    "\t",
    "\n",
    "\n\n",
    "\r\n",
    ". ",
    ".",
    "!",
    "?",
    "…",
    "。",
    "؟",
    " ।",
    "॥",
    "”",
    '"',
    "»",
    "“",
    ")",
    "*",
    "**",
    "_",
    ": ",
    "e.g. ",
    "z. B. ",
    "Dr. ",
    "No. 5",
    "No. ",
    "3. Mai",
    "J. R. ",
    "U.S. ",
    "Inc. ",
    "3.50",
    "1.000,50",
    "https://a.example/b.c?d=e",
    "me@x.org",
    "[1]",
    " [1]",
    "[99]",
    "[",
    "]",
    "(",
    "[1](http://x)",
    "[Passage 2",
    "【3】",
    "|",
    "\n|",
    "| a | b |\n",
    "|---|\n",
    "`",
    "```",
    "```sh\n",
    "\n```\n",
    "~~~",
    "# ",
    "## T\n",
    "- ",
    "\n- ",
    "1. ",
    "\n1. ",
    "> ",
    "\n> ",
    "مرحبا",
    "शब्द",
    "今日",
    "\u200b",
    "\ud800",
    "\u2028",
    "x" * 400,
    " word" * 300,
]


@pytest.mark.slow
@settings(max_examples=400)
@given(text=st.lists(st.sampled_from(_ATOMS), max_size=14).map("".join), data=st.data())
def test_sentence_units_do_not_depend_on_chunking(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8).map(sorted))
    for places in (cuts, range(1, len(text))):
        stream = SentenceStream()
        edges = [0, *places, len(text)]
        pieces = [text[start:end] for start, end in itertools.pairwise(edges)]
        units = [unit for piece in pieces for unit in stream.feed(piece)]
        assert units + stream.close() == split_sentences(text)


def test_sentence_is_emitted_before_the_text_ends() -> None:
    stream = SentenceStream()
    assert [unit.body for unit in stream.feed("The first one is done. The second")] == [
        "The first one is done."
    ]
    assert stream.pending.strip() == "The second"


def test_tables_and_code_are_not_split() -> None:
    text = "Look:\n\n| a | b |\n|---|---|\n| 1. | 2 |\n\n```sh\nls. Then\n\ncd ..\n```\nDone."
    assert [(unit.kind, unit.body[:9]) for unit in split_sentences(text)] == [
        (Kind.SENTENCE, "Look:"),
        (Kind.TABLE, "| a | b |"),
        (Kind.CODE, "```sh\nls."),
        (Kind.SENTENCE, "Done."),
    ]


def test_unclosed_code_block_ends_with_the_text() -> None:
    assert [unit.kind for unit in split_sentences("```\nfor ever. And ever.")] == [Kind.CODE]


def test_sentence_offsets_refer_to_the_whole_text() -> None:
    text = "  First one.\n\n- Second one. Third."
    assert [text[unit.start : unit.end] for unit in split_sentences(text)] == [
        "First one.",
        "Second one.",
        "Third.",
    ]


@pytest.mark.parametrize("text", ["word " * 2000, "x" * 5000, "no stop, ever, " * 500])
def test_overlong_sentence_is_cut(text: str) -> None:
    units = split_sentences(text)
    assert max(len(unit.body) for unit in units) <= MAX_SENTENCE
    assert sum(len(unit.body.replace(" ", "")) for unit in units) == len(text.replace(" ", ""))


@pytest.mark.parametrize(
    "text",
    [
        "a. " * 60_000,
        "\n" * 200_000,
        "[" * 100_000,
        "`" * 100_000,
        "| " * 60_000,
        "> " * 60_000,
        "." * 100_000,
    ],
)
def test_hostile_text_is_split_without_loss(text: str) -> None:
    units = split_sentences(text)
    assert all(unit.body for unit in units) or not text.strip()
    assert sum(len(unit.prefix) + len(unit.body) for unit in units) <= len(text)
