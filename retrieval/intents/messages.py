"""Cairn's own sentences about documents, in the question's language."""

import json
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

from babel.dates import format_date
from babel.numbers import format_decimal, format_percent

from retrieval.answering.generation.extractive import escape_markdown
from retrieval.answering.text.lexicon import Language

_TEXTS: Final = Path(__file__).with_suffix(".json")
_LOCALES: Final[dict[Language, str]] = {"en": "en_GB", "de": "de_DE"}


@cache
def _load_texts() -> dict[str, dict[str, Any]]:
    texts: dict[str, dict[str, Any]] = json.loads(_TEXTS.read_text(encoding="utf-8"))
    return texts


def render_text(key: str, language: Language, *, n: int = 1, **values: str) -> str:
    """Render a sentence; the last form is the plural. Values are Markdown already."""
    forms = _load_texts()[key][language]
    if isinstance(forms, str):
        return forms.format(**values)
    chosen: str = forms[0] if n == 1 else forms[-1]
    return chosen.format(n=render_number(n, language), **values)


def render_number(number: int, language: Language) -> str:
    return format_decimal(number, locale=_LOCALES[language])


def render_share(share: float, language: Language) -> str:
    """Render a share as per cent; 100 % only for all of it."""
    return format_percent(min(share, 0.99) if share < 1 else share, locale=_LOCALES[language])


def render_terms(terms: Sequence[str], language: Language) -> str:
    quoted = [render_text("term", language, term=escape_markdown(term)) for term in terms]
    return render_text("and", language).join(quoted)


def render_date(day: date, language: Language) -> str:
    return format_date(day, "long", locale=_LOCALES[language])
