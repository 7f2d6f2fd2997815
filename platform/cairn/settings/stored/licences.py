"""Licences of models and their terms, read from licences.json."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Final

from cairn.messages import gettext_noop

TERMS: Final[Mapping[str, str]] = {
    "notice": gettext_noop("Pass on its text and the copyright notice with every copy."),
    "attribution": gettext_noop("Name the model where people see its answers."),
    "acceptable_use": gettext_noop("Its acceptable use policy rules out some purposes."),
    "user_limit": gettext_noop("Above 700 million monthly users, its maker must agree."),
    "derived_name": gettext_noop("The name of a model derived from it must begin with “Llama”."),
    "vision_eu": gettext_noop("Its vision models aren’t licensed to organisations in the EU."),
    "pass_on_terms": gettext_noop("Whoever gets a copy must accept the same terms."),
    "research_only": gettext_noop("For research only: daily work needs a commercial licence."),
    "contract": gettext_noop("Your contract with its maker applies. Enter when it ends."),
    "unknown": gettext_noop("Cairn doesn’t know its terms: read them yourself."),
}
NAMES_TO_TRANSLATE: Final = (gettext_noop("Proprietary"), gettext_noop("Other"))


@dataclass(frozen=True, slots=True)
class Licence:
    """`terms`: short sentences in English that are translated where they are shown. `url`: the full text."""

    key: str
    name: str
    terms: tuple[str, ...]
    url: str


def has_ended(last_day: date | None, today: date) -> bool:
    """Return whether a licence with this last day has expired."""
    return last_day is not None and last_day < today


def _load() -> dict[str, Licence]:
    rows = json.loads((files("cairn.settings.stored") / "licences.json").read_text(encoding="utf-8"))
    return {
        key: Licence(key, row["name"], tuple(TERMS[term] for term in row["terms"]), row["url"])
        for key, row in rows.items()
    }


LICENCES: Final[Mapping[str, Licence]] = _load()
