"""Proper names, acronyms and code-like terms: a claim may only name what its evidence names."""

import re

from retrieval.answering.text.lexicon import IMPERATIVES, MONTHS, STOPWORDS, UNITS, Language
from retrieval.answering.text.number_words import is_number_word
from retrieval.answering.text.terms import stem

_CODE = re.compile(
    r"`[^`\n]+`"
    r"|https?://[^\s<>)\]]+|www\.[^\s<>)\]]+"
    r"|(?<![\w.+-])[\w.+-]++@[\w-]+(?:\.[\w-]+)+"
    r"|(?<!\w)[#@][A-Za-z0-9][\w-]*"
    r"|(?<![\w/])/[a-z0-9][\w/.-]+"
    r"|\b[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\b"
    r"|\b\w*_\w+\b|\b[a-z]+[A-Z]\w*\b"
    r"|\b(?=[\w-]{0,200}?[A-Za-z])(?=[\w-]{0,200}?\d)\w+(?:-\w+)*\b"
)
_QUANTITY = re.compile(r"\d+(?:-)?([^\W\d_]+)", re.IGNORECASE)
_ORDINALS = frozenset({"st", "nd", "rd", "th", "am", "pm", "k", "bn"})
_TOKEN = re.compile(r"[^\W\d_][\w&]*(?:['’-][^\W\d_]+)*")
_OPENS = re.compile(r"(?:^|[:.!?;(\[\"“„«|>]|\s[–—-]|\n)[\s\"“„«(*_]*$")
_TITLES = re.compile(r"\b(?:Herrn?|Frau|Dr\.|Prof\.)\s+([A-ZÄÖÜ][\w-]+)")
_MARKDOWN = re.compile(r"\*\*|__|[*`]")
_EDGE = ".,;:!?)'\"’”`"
_VOID = STOPWORDS["en"] | STOPWORDS["de"] | {"i", "i'm", "i'll", "i've", "ok"}


def unsupported_names(claim: str, evidence: str, language: Language) -> tuple[str, ...]:
    """Return names of the claim, as written, that the evidence lacks in any case or inflection."""
    plain = _plain(evidence)
    known = frozenset(stem(word, language) for word in _words(plain))
    codes = [code for code in _codes(claim) if not _has_code(code, plain)]
    rest = _CODE.sub(" ", claim)
    names = [name for name in _names(rest, language) if not _has_name(name, plain, known, language)]
    return tuple(dict.fromkeys([*codes, *names]))


def names_of(text: str, language: Language) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*_codes(text), *_names(_CODE.sub(" ", text), language)]))


def _codes(text: str) -> list[str]:
    found = [match.group().strip("`").rstrip(_EDGE) for match in _CODE.finditer(text)]
    return [code for code in found if code and not _is_quantity(code)]


def _is_quantity(code: str) -> bool:
    """Return whether a term is a figure, which is checked as such: "24-hour", "5GB" or "3rd"."""
    match = _QUANTITY.fullmatch(code)
    unit = match[1].casefold() if match else ""
    return unit in UNITS or unit in _ORDINALS


def _names(text: str, language: Language) -> list[str]:
    text = _MARKDOWN.sub("", text)
    if language == "de":  # every noun has a capital there
        capitals = _TITLES.findall(text)
        return capitals + [match.group() for match in _TOKEN.finditer(text) if _is_acronym(match.group())]
    tokens = list(_TOKEN.finditer(text))
    capital = [match.group()[0].isupper() for match in tokens]
    return [
        match.group()
        for at, match in enumerate(tokens)
        if capital[at] and not _is_never_a_name(match.group()) and _is_name(text, tokens, capital, at)
    ]


def _is_never_a_name(word: str) -> bool:
    folded = word.casefold()
    return folded in _VOID or is_number_word(folded) or (folded in MONTHS and len(folded) > 3)


def _is_name(text: str, tokens: list[re.Match[str]], capital: list[bool], at: int) -> bool:
    """Return whether a capitalised word is a name. A sentence's first word is one only if it is an acronym or
    another name follows."""
    match = tokens[at]
    if _is_acronym(match.group()) or not _OPENS.search(text, max(0, match.start() - 6), match.start()):
        return True
    if match.group().casefold() in IMPERATIVES:
        return False
    following = at + 1 < len(tokens) and capital[at + 1] and not _is_never_a_name(tokens[at + 1].group())
    return following and text[match.end() : tokens[at + 1].start()] == " "


def _is_acronym(word: str) -> bool:
    letters = re.sub(r"['’]?s$", "", word)
    return len(letters) > 1 and letters.isupper()


def _plain(text: str) -> str:
    return _MARKDOWN.sub("", text).casefold()


def _words(plain: str) -> list[str]:
    """Return the words, and those with hyphens also in parts and as one: Wi-Fi is WiFi."""
    return [
        part for word in _TOKEN.findall(plain) for part in {word, word.replace("-", ""), *word.split("-")}
    ]


def _has_code(code: str, plain: str) -> bool:
    code_text = re.sub(r"^https?://", "", code.casefold()).rstrip("/")
    return re.search(rf"(?<!\w){re.escape(code_text)}(?!\w)", plain) is not None


def _has_name(name: str, plain: str, known: frozenset[str], language: Language) -> bool:
    folded = re.sub(r"['’]s?$", "", name.casefold())
    if stem(folded, language) in known or all(stem(part, language) in known for part in folded.split("-")):
        return True
    return re.search(rf"(?<!\w){re.escape(folded)}(?!\w)", plain) is not None
