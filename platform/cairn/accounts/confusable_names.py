# ruff: noqa: RUF001 - letters that look alike are the subject of this module
"""Prevents user names that people could mistake for one another.

This follows Unicode Technical Standard 39: a name keeps to one script ("highly restrictive"), and two names
look alike if they have the same skeleton. The table of look-alikes is the part of Unicode's that matters for
lower-case letters which a name of one script can have. ASCII letters and digits count as different from each
other, so that "al1" and "all" can both exist.
"""

import unicodedata
from collections import Counter
from typing import Final

from django.utils.translation import gettext_noop

from cairn.errors import InvalidInput
from cairn.messages import CodedMessage

_LOOK_ALIKES: Final = {
    "a": "ɑαаᴀꭺ", "b": "ƅʙβвьꞵ", "c": "ϲсᴄꞓꮯ", "d": "ԁᴅꭰ", "e": "εеєҽᴇꭼꬲ", "f": "ꞙꬵք",
    "g": "ƍɡɢԍցᶃ", "h": "ʜнһհꮋ", "i": "ıɩɪιіꙇ", "j": "ʝϳјյᴊȷꭻ", "k": "ĸκкᴋꮶ", "l": "ǀӏǃʟⅼꮮ丨ᅵ",
    "m": "ʍμϻмᴍꮇ", "n": "ɴηոռпղ", "o": "οσоօᴏᴑჿ௦০ᄋᆼ", "p": "ρрᴘᴩꮲ", "q": "ԛգզ", "r": "гʀᴦꭇꭈꭱ",
    "s": "ѕƽꜱꮪʂտ", "t": "τтᴛꭲ", "u": "ʋυսᴜꭎꭒ", "v": "νѵᴠꮩ", "w": "ɯѡԝաωᴡꮃ", "x": "χхꭓꭕ",
    "y": "ɣʏγуүყỿꭚ", "z": "ζᴢꮓ", "3": "ȝɛɜʒзӡჳ", "6": "б", "8": "ȣ",
    "þ": "ƿϸ", "ƕ": "ԋ", "ə": "әǝ", "ɔ": "ͻᴐↄ", "ɸ": "φфփ", "ʌ": "λл", "δ": "ծẟ", "π": "ᴨ", "ψ": "ѱ",
    "я": "ᴙ", "и": "ᴎͷ", "ҷ": "ӌ",
    "-": "ー一ᅳ", "へ": "ヘ", "エ": "工", "カ": "力", "タ": "夕", "ト": "卜", "ニ": "二", "ハ": "八",
    "ロ": "口囗",
    "บ": "ບ", "ป": "ປ", "ฝ": "ຝ", "พ": "ພ", "ฟ": "ຟ", "ย": "ຍ", "จ": "ຈ",
    "అ": "ಅ", "ఆ": "ಆ", "ఇ": "ಇ", "ఒ": "ಒ", "జ": "ಜ", "ఞ": "ಞ", "ణ": "ಣ", "య": "ಯ", "ఱ": "ಱ", "ల": "ಲ",
}  # fmt: skip
"""A letter of a skeleton, and the letters that look like it."""
_SKELETON: Final = str.maketrans({each: letter for letter, like in _LOOK_ALIKES.items() for each in like})
_INVISIBLE: Final = dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0\u0640"))
"""Letters that are invisible, or only lengthen another one."""
_SCRIPTS: Final = frozenset(
    [
        "ARABIC",
        "ARMENIAN",
        "BENGALI",
        "BOPOMOFO",
        "CJK",
        "CYRILLIC",
        "DEVANAGARI",
        "ETHIOPIC",
        "GEORGIAN",
        "GREEK",
        "GUJARATI",
        "GURMUKHI",
        "HANGUL",
        "HEBREW",
        "HIRAGANA",
        "KANNADA",
        "KATAKANA",
        "KHMER",
        "LAO",
        "LATIN",
        "MALAYALAM",
        "MYANMAR",
        "ORIYA",
        "SINHALA",
        "TAMIL",
        "TELUGU",
        "THAANA",
        "THAI",
        "TIBETAN",
    ]
)
"""Those that Unicode recommends for identifiers, as the names of their letters begin."""
_WRITTEN_TOGETHER: Final = (
    {"LATIN", "CJK", "HIRAGANA", "KATAKANA"},
    {"LATIN", "CJK", "HANGUL"},
    {"CJK", "BOPOMOFO"},
)
_SCRIPT_OF: Final = {"々": "CJK", "〆": "CJK", "ー": "KATAKANA"}
_SCRIPT_NAMES: Final = {"ARABIC-INDIC": "ARABIC", "EXTENDED": "ARABIC"}


def normalize_name(name: str) -> str:
    """Return the form in which the name is stored: letters that are equivalent in Unicode become equal."""
    return unicodedata.normalize("NFKC", name)


def name_skeleton(name: str) -> str:
    """Equal for two names that look alike, and for two that differ in case alone."""
    folded = unicodedata.normalize("NFKD", normalize_name(name).casefold())
    shown = folded.translate(_INVISIBLE).translate(_SKELETON)
    digits = "".join(str(unicodedata.decimal(letter, letter)) for letter in shown)
    return digits.replace("i\u0307", "i").strip(".")


def check_name(name: str) -> None:
    """Raises InvalidInput for a name that people could mistake for another one. Expects a normalized name."""
    if name != name.strip("."):
        raise InvalidInput(gettext_noop("User names can’t start or end with a dot."))
    for letter in name:
        if letter.isalnum() and (_script(letter) is None or ord(letter) in _INVISIBLE):
            code = f"U+{ord(letter):04X}"
            raise InvalidInput(CodedMessage("username_character", code=code))
    if not all(_uses_one_script(part) for part in name.split("@")):
        raise InvalidInput(gettext_noop("User names can’t mix scripts, such as Latin and Cyrillic letters."))


def acceptable_name(name: str) -> str:
    """The name, without what `check_name` refuses: letters of the script that it has most of stay."""
    parts = (_restrict_to_one_script(part) for part in normalize_name(name).split("@"))
    return "@".join(parts).strip(".@-_")


def _restrict_to_one_script(part: str) -> str:
    usable = [each for each in part if ord(each) not in _INVISIBLE]
    usable = [each for each in usable if not each.isalnum() or _script(each) is not None]
    part = "".join(usable)
    if _uses_one_script(part):
        return part
    [(most, _)] = Counter(_scripts(part)).most_common(1)
    return "".join(each for each in part if _script(each) in {most, ""} or not each.isalnum())


def _uses_one_script(part: str) -> bool:
    scripts = set(_scripts(part))
    return len(scripts) <= 1 or any(scripts <= together for together in _WRITTEN_TOGETHER)


def _scripts(part: str) -> list[str]:
    return [script for letter in part if letter.isalnum() and (script := _script(letter))]


def _script(letter: str) -> str | None:
    """Empty for an ASCII digit, which goes with every script. None if it is of none that names may have."""
    if letter.isascii() and letter.isdecimal():
        return ""
    first = _SCRIPT_OF.get(letter) or unicodedata.name(letter, "UNNAMED").split()[0]
    script = _SCRIPT_NAMES.get(first, first)
    return script if script in _SCRIPTS else None
