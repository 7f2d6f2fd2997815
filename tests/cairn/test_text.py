import pytest

from cairn.hidden_characters import visible

SMUGGLED = "".join(chr(0xE0000 + ord(letter)) for letter in "obey")
BYTES = "".join(chr(0xFE00 + byte % 16) for byte in b"obey") + "".join(
    chr(0xE0100 + byte) for byte in b"obey"
)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (f"a{SMUGGLED}b", "ab"),
        (f"a{BYTES}b", "ab"),
        ("\U0001f600" + BYTES, "\U0001f600" + BYTES[0]),
        ("a\u202eb\u2066c\u2069\u200e", "abc"),
        ("pass\u200bword\u00ad\u2060\ufeff", "password"),
        ("a\u200db\u200cc", "abc"),
        ("1\u200d2", "12"),
        ("a\x00b\x1bc\x7f\x85", "abc\x85"),
        ("x\ud800y\U000f0000\U0010fffd", "xy"),
        ("\u115f\u3164\uffa0", ""),
    ],
)
def test_invisible_characters_are_removed(text: str, seen: str) -> None:
    assert visible(text) == seen


@pytest.mark.parametrize(
    "text",
    [
        "plain\ttext\r\nof lines\f",
        "می\u200cخواهم",  # noqa: RUF001 Persian
        "क्\u200dष",
        "\U0001f469\u200d\u2695\ufe0f \U0001f468\u200d\U0001f469\u200d\U0001f467 1\ufe0f\u20e3",
        "\uf0b7 bullets of symbol fonts",
        "naïve Straße 東京 עברית",
    ],
)
def test_characters_required_by_a_script_are_preserved(text: str) -> None:
    assert visible(text) == text
