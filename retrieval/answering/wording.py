"""Cairn's own messages in an answer, in the question's language."""

from collections.abc import Sequence

from retrieval.answering.lexicon import Language

_TEXTS: dict[str, dict[Language, str]] = {
    "empty": {"en": "The question is empty.", "de": "Die Frage ist leer."},
    "no_hits": {
        "en": "Nothing that you may read was found for this question.",
        "de": "Zu dieser Frage wurde nichts gefunden, das Sie lesen dürfen.",
    },
    "far": {
        "en": "The passages found are about something else.",
        "de": "Die gefundenen Stellen handeln von etwas anderem.",
    },
    "missing": {
        "en": "The passages found do not mention {terms}.",
        "de": "Die gefundenen Stellen erwähnen {terms} nicht.",
    },
    "kind": {
        "en": "The passages found speak of {terms}, but none names {kind} for it.",
        "de": "Die gefundenen Stellen handeln von {terms}, nennen dazu aber {kind}.",
    },
    "code": {"en": "a code or password", "de": "keinen Code und kein Passwort"},
    "amount": {"en": "an amount", "de": "keinen Betrag"},
    "share": {"en": "a percentage", "de": "keinen Prozentsatz"},
    "age": {"en": "an age", "de": "kein Alter"},
    "year": {"en": "a year", "de": "kein Jahr"},
    "clock": {"en": "a time of day", "de": "keine Uhrzeit"},
    "frequency": {"en": "how often", "de": "keine Häufigkeit"},
    "span": {"en": "a length of time", "de": "keine Dauer"},
    "contact": {"en": "a phone number", "de": "keine Telefonnummer"},
    "address": {"en": "an address", "de": "keine Adresse"},
    "number": {"en": "a number", "de": "keine Zahl"},
    "date": {"en": "a date", "de": "kein Datum"},
    "unread": {
        "en": "The passages found speak of this, but none of them answers the question.",
        "de": "Die gefundenen Stellen handeln davon, aber keine beantwortet die Frage.",
    },
    "abstained": {
        "en": "The language model found no answer in the passages.",
        "de": "Das Sprachmodell fand in den Stellen keine Antwort.",
    },
    "nothing_held": {
        "en": "No sentence of the language model could be traced to the passages found.",
        "de": "Kein Satz des Sprachmodells ließ sich auf die gefundenen Stellen zurückführen.",
    },
    "extractive": {
        "en": "The passages are quoted word for word, since no sentence of the language model both held and "
        "spoke of what is asked.",
        "de": "Die Stellen werden wörtlich zitiert, da kein Satz des Sprachmodells standhielt und von dem "
        "handelte, was gefragt ist.",
    },
    "model_away": {
        "en": "The passages are quoted word for word, since the language model cannot be reached.",
        "de": "Die Stellen werden wörtlich zitiert, da das Sprachmodell nicht erreichbar ist.",
    },
    "broken_off": {
        "en": "The language model broke off; what was written until then is shown.",
        "de": "Das Sprachmodell brach ab; gezeigt wird, was bis dahin geschrieben war.",
    },
    "model_gone": {
        "en": "The language model cannot be reached.",
        "de": "Das Sprachmodell ist nicht erreichbar.",
    },
    "stopped": {"en": "The answer was stopped.", "de": "Die Antwort wurde angehalten."},
    "dropped": {
        "en": "{count} of {total} sentences could not be traced to a passage and were left out.",
        "de": "{count} von {total} Sätzen ließen sich auf keine Stelle zurückführen und fehlen.",
    },
    "flagged": {
        "en": "{count} of {total} sentences could not be traced to a passage.",
        "de": "{count} von {total} Sätzen ließen sich auf keine Stelle zurückführen.",
    },
    "supported": {
        "en": "Each sentence could be traced to a passage.",
        "de": "Jeder Satz ließ sich auf eine Stelle zurückführen.",
    },
    "untold": {
        "en": "The documents do not tell: {parts}",
        "de": "Die Dokumente sagen nicht: {parts}",
    },
    "unwritten": {"en": "Not answered: {parts}", "de": "Nicht beantwortet: {parts}"},
    "differ": {"en": "The documents differ: {sides}.", "de": "Die Dokumente widersprechen sich: {sides}."},
    "differ_figure": {
        "en": "“{title}” ({dated}) says {figure} {marker}",
        "de": "„{title}“ ({dated}) nennt {figure} {marker}",
    },
    "differ_denial": {
        "en": "“{title}” ({dated}) says {marker} what “{other_title}” ({other_dated}) denies {other_marker}",
        "de": "„{title}“ ({dated}) sagt {marker}, was „{other_title}“ ({other_dated}) verneint "
        "{other_marker}",
    },
    "differ_reason": {
        "en": "Documents say different things about it.",
        "de": "Dokumente sagen Verschiedenes dazu.",
    },
    "dated_metadata": {"en": "dated {date}", "de": "vom {date}"},
    "dated_title": {"en": "{date}, by its title", "de": "{date}, laut Titel"},
    "dated_section": {"en": "{date}, by its section", "de": "{date}, laut Abschnitt"},
    "dated_source": {"en": "{date}, by its file", "de": "{date}, laut Datei"},
    "dated_upload": {"en": "last changed here {date}", "de": "hier zuletzt geändert {date}"},
    "figures": {"en": "Not in the passages: {terms}", "de": "Nicht in den Stellen: {terms}"},
    "restriction": {
        "en": "The passages restrict this in another way.",
        "de": "Die Stellen schränken das anders ein.",
    },
    "negation": {
        "en": "A passage says the opposite, or does not deny it.",
        "de": "Eine Stelle sagt das Gegenteil oder verneint es nicht.",
    },
    "meaning": {"en": "No passage says this.", "de": "Keine Stelle sagt das."},
    "repeated": {"en": "Said before.", "de": "Schon gesagt."},
    "unfinished": {"en": "Broken off.", "de": "Abgebrochen."},
    "meta": {"en": "Not about the question.", "de": "Nicht zur Frage."},
}


def render_message(key: str, language: Language, **values: object) -> str:
    return _TEXTS[key][language].format(**values)


def format_terms(terms: Sequence[str], language: Language) -> str:
    """Quote and join at most four terms."""
    quoted = [f"“{term}”" if language == "en" else f"„{term}“" for term in terms[:4]]
    word = {"en": "and", "de": "und"}[language]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {word} {quoted[-1]}"
