"""Cairn's own messages in an answer, in the question's language."""

from retrieval.answering.text.lexicon import Language
from retrieval.answering.text.refusals import REFUSALS, ReplyLanguage

_TEXTS: dict[str, dict[Language, str]] = {
    "quoted": {
        "en": "These are direct quotes from the documents.",
        "de": "Das sind wörtliche Zitate aus den Dokumenten.",
    },
    "no_model": {
        "en": "These are direct quotes: no language model may read these passages.",
        "de": "Das sind wörtliche Zitate: Diese Textstellen darf kein Sprachmodell lesen.",
    },
    "extractive": {
        "en": "These are direct quotes: I couldn’t write an answer that the documents support.",
        "de": "Das sind wörtliche Zitate: Eine eigene Antwort ließ sich nicht durch die Dokumente belegen.",
    },
    "quotes_preferred": {
        "en": "These are direct quotes: they answer the question better than what the language model wrote.",
        "de": "Das sind wörtliche Zitate: Sie beantworten die Frage besser als der Text des Sprachmodells.",
    },
    "model_away": {
        "en": "These are direct quotes: the language model isn’t available right now.",
        "de": "Das sind wörtliche Zitate: Das Sprachmodell ist gerade nicht erreichbar.",
    },
    "broken_off": {
        "en": "The language model stopped early, so this answer is incomplete.",
        "de": "Das Sprachmodell hat abgebrochen; die Antwort ist unvollständig.",
    },
    "dropped": {
        "en": "Left out, as no source supports them: {count} of {total} sentences.",
        "de": "Weggelassen, weil keine Quelle sie belegt: {count} von {total} Sätzen.",
    },
    "flagged": {
        "en": "Not supported by a source: {count} of {total} sentences.",
        "de": "Durch keine Quelle belegt: {count} von {total} Sätzen.",
    },
    "supported": {
        "en": "Every sentence is supported by a source.",
        "de": "Jeder Satz ist durch eine Quelle belegt.",
    },
    "verified": {
        "en": "This is a verified answer to this question.",
        "de": "Das ist eine bestätigte Antwort auf diese Frage.",
    },
    "verified_several": {
        "en": "There are several verified answers to this question.",
        "de": "Zu dieser Frage gibt es mehrere bestätigte Antworten.",
    },
    "untold": {
        "en": "Not covered by the documents: {parts}",
        "de": "Nicht in den Dokumenten: {parts}",
    },
    "unwritten": {"en": "Not answered: {parts}", "de": "Nicht beantwortet: {parts}"},
    "differ": {"en": "The documents disagree: {sides}.", "de": "Die Dokumente widersprechen sich: {sides}."},
    "differ_figure": {
        "en": "“{title}” ({dated}) says {figure} {marker}",
        "de": "„{title}“ ({dated}) nennt {figure} {marker}",
    },
    "differ_denial": {
        "en": "“{title}” ({dated}) states this {marker}, but “{other_title}” ({other_dated}) denies it "
        "{other_marker}",
        "de": "„{title}“ ({dated}) sagt das {marker}, „{other_title}“ ({other_dated}) verneint es "
        "{other_marker}",
    },
    "differ_reason": {
        "en": "The documents disagree about this.",
        "de": "Die Dokumente widersprechen sich dazu.",
    },
    "dated_metadata": {"en": "dated {date}", "de": "Datum: {date}"},
    "dated_title": {"en": "{date}, from its title", "de": "{date}, laut Titel"},
    "dated_section": {"en": "{date}, from its section", "de": "{date}, laut Abschnitt"},
    "dated_source": {"en": "{date}, from its file", "de": "{date}, laut Datei"},
    "dated_upload": {"en": "last updated {date}", "de": "zuletzt aktualisiert am {date}"},
    "figures": {"en": "Not in the passages: {terms}", "de": "Nicht in den Textstellen: {terms}"},
    "restriction": {
        "en": "The passages limit this differently.",
        "de": "Die Textstellen schränken das anders ein.",
    },
    "negation": {
        "en": "A passage contradicts this.",
        "de": "Eine Textstelle widerspricht dem.",
    },
    "meaning": {"en": "No passage says this.", "de": "Keine Textstelle sagt das."},
    "less_relevant": {
        "en": "Supported, but not relevant enough to the question.",
        "de": "Belegt, aber für die Frage nicht relevant genug.",
    },
    "repeated": {"en": "Already said.", "de": "Schon gesagt."},
    "unfinished": {"en": "Incomplete.", "de": "Unvollständig."},
    "meta": {"en": "Doesn’t answer the question.", "de": "Beantwortet die Frage nicht."},
}


def render_message(key: str, language: ReplyLanguage, **values: object) -> str:
    """Render a message. Only refusals are written in all languages; the others are in English or German."""
    if key in REFUSALS:
        return REFUSALS[key][language].format(**values)
    return _TEXTS[key]["de" if language == "de" else "en"].format(**values)
